"""The OpenAPI document, and who may call what, from the routes; without a database or a port."""

from collections.abc import Iterator
from typing import Any, cast

from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry

from services.api import main as api
from services.api.routes.scopes import LIMITED, SCOPES
from services.ingest import main as ingest
from shared.clock import SystemClock
from shared.db.accord_book import AccordBook
from shared.db.engine import create_engine
from shared.http.openapi_document import openapi_document
from shared.http.scopes import ADMIN, ROLE_SCOPES, ROLES
from shared.lifecycle import Resources, Service
from shared.secret_box import SecretBox
from shared.stream.memory import MemoryCarrier
from shared.stream.metrics import Metrics


def services() -> list[Service]:
    """Those with routes, wired to nothing: what they describe needs neither a log nor a database."""
    registry = CollectorRegistry()
    resources = Resources(
        pool=cast(Any, None),
        engine=create_engine("postgresql://nobody@127.0.0.1:1/nothing"),
        carrier=MemoryCarrier(),
        accords=AccordBook(),
        registry=registry,
        stream_metrics=Metrics(registry),
        clock=SystemClock(),
        public_url="http://127.0.0.1:8080",
        secrets=SecretBox("A" * 43 + "="),
    )
    return [ingest.wire(resources), api.wire(resources)]


def openapi() -> dict[str, Any]:
    """The document as `/openapi.json` gives it."""
    return openapi_document([route for service in services() for route in (*service.routes, *service.direct_routes)])


def matrix() -> str:
    """A table in Markdown: every call, the scope that opens it, whose token has that, and what a limited key may."""
    lines = [f"| call | scope | {' | '.join(ROLES)} | key limited to an owner |", f"|{'---|' * (len(ROLES) + 3)}"]
    for call, scope, limited in sorted(_rules(), key=_order):
        roles = [_mark(role, scope) for role in ROLES]
        lines.append(f"| `{call}` | `{scope}` | {' | '.join(roles)} | {limited} |")
    return "\n".join(lines) + "\n"


def _mark(role: str, scope: str) -> str:
    return "yes" if role == ADMIN or any(one in ROLE_SCOPES[role] for one in scope.split(" or ")) else "–"


def _order(rule: tuple[str, str, str]) -> tuple[str, str]:
    method, _, path = rule[0].partition(" ")
    return path, method


def _rules() -> Iterator[tuple[str, str, str]]:
    for service in services():
        for route in (*service.routes, *service.direct_routes):
            if not isinstance(route, APIRoute):
                continue
            for method in sorted(route.methods or ()):
                if scope := SCOPES.get((method, route.path)):
                    yield f"{method} {route.path}", scope, _limited(method, route.path)
                elif scope := (route.openapi_extra or {}).get("x-scope"):
                    yield f"{method} {route.path}", scope, "yes"


def _limited(method: str, path: str) -> str:
    if (method, path) not in LIMITED:
        return "–"
    return "own leads" if path.startswith(("/v1/leads", "/v1/clocks", "/v1/breaches")) else "yes"
