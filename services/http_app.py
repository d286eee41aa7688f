"""The HTTP side of a process: the routes of its services, health and metrics, and one way of saying what went wrong."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from services.composition import House
from shared.http.direct import Direct
from shared.http.health import health_routes
from shared.http.openapi_document import openapi_document
from shared.http.paths import EncodedSlashes
from shared.http.problems import install_problem_handlers
from shared.http.spans import ServerSpans
from shared.http.telemetry import NO_TELEMETRY
from shared.http.trace import Traceparent
from shared.lifecycle import Service
from shared.telemetry.metrics import metrics_route


def build_app(house: House, registry: CollectorRegistry, services: Sequence[Service]) -> ASGIApp:
    """One app for everything that this process serves."""

    async def readiness() -> tuple[bool, dict[str, object]]:
        return house.readiness()

    # The page that describes the calls is our own: FastAPI's fetches its scripts from elsewhere. Its redirects would
    # name http://, whatever stands in front: a client that follows one sends its key in the open.
    app = FastAPI(title="Accord", docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=NO_TELEMETRY)
    app.router.routes.extend([*health_routes(readiness), metrics_route(registry)])
    for service in services:
        app.router.routes.extend([*service.routes, *service.direct_routes])
    app.router.routes.append(Route("/docs", _show_reference))
    app.openapi = cache(lambda: openapi_document(app.routes))  # type: ignore[method-assign]
    install_problem_handlers(app)
    app.add_middleware(Traceparent)
    app.add_middleware(EncodedSlashes)
    direct_routes = [route for service in services for route in service.direct_routes]
    bare_routes = [route for service in services for route in service.bare_routes]
    direct = Direct(app, direct_routes, bare_routes)
    spans = house.resources.spans
    return direct if spans is None else ServerSpans(direct, spans, {route.path for route in direct_routes})


async def _show_reference(_: Request) -> HTMLResponse:
    """The calls, for people: one file, nothing from elsewhere."""
    headers = {"Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"}
    return HTMLResponse(files("shared.http").joinpath("reference.html").read_text(encoding="utf-8"), headers=headers)
