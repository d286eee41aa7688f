"""The api's own calls, made inside this process: a page knows and does what its reader's key may, and nothing else."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

from fastapi import FastAPI
from pydantic_core import from_json, to_json
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Scope

from shared.http.auth import CALLER, Authenticate
from shared.http.problems import install_problem_handlers
from shared.http.telemetry import NO_TELEMETRY

_OK: Final = range(200, 300)
_FORBIDDEN: Final = 403


def api_app(routes: Sequence[BaseRoute]) -> ASGIApp:
    """The app that answers calls from inside: the same routes, the same refusals."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY)
    app.router.routes.extend(routes)
    install_problem_handlers(app)
    return app


class Refused(Exception):
    """The api said no. `problem` is its RFC 9457 document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title')}")
        self.status = status
        self.problem = problem

    @property
    def errors(self) -> list[dict[str, Any]]:
        """What is wrong, field by field: `path` and `message`, of documents `line`, `found` and `allowed` too."""
        return list(self.problem.get("errors", ()))


class Api:
    """Calls in the name of one reader. Paths are those of HTTP.md; their parts are quoted by `path`."""

    def __init__(self, app: ASGIApp, caller: Authenticate) -> None:
        self._app = app
        self._caller = caller

    async def get(self, path: str, **query: Any) -> Any:
        """The body of the answer. Parameters that are None are left out, `from_` is `from`. Raises Refused."""
        return await self._call("GET", path, query=query)

    async def ask(self, path: str, **query: Any) -> Any:
        """As `get`; None when the reader may not know."""
        try:
            return await self.get(path, **query)
        except Refused as refused:
            if refused.status != _FORBIDDEN:
                raise
            return None

    async def send(self, method: str, path: str, body: Mapping[str, Any], **headers: str) -> Any:
        """The body of the answer to POST, PATCH or DELETE. Header names have `_` for `-`. Raises Refused."""
        return await self._call(method, path, body=to_json(body), headers=headers)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        asked = {name.rstrip("_"): _text(value) for name, value in (query or {}).items() if value is not None}
        sent = {"content-type": "application/json"} if body else {}
        sent |= {name.replace("_", "-").lower(): value for name, value in (headers or {}).items()}
        scope = inside_scope(method, path, urlencode(asked, doseq=True), self._caller)
        scope["headers"] = [(name.encode(), value.encode()) for name, value in sent.items()]
        status, answer = await _exchange(self._app, scope, body)
        if status not in _OK:
            raise Refused(status, from_json(answer))
        return from_json(answer) if answer else None


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def path(*parts: object) -> str:
    """`/v1/…` of these parts, each quoted."""
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def inside_scope(method: str, path: str, query: str, caller: Authenticate) -> Scope:
    """An ASGI scope for a call that no socket carries."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [],
        "client": None,
        "server": None,
        CALLER: caller,
    }


async def _exchange(app: ASGIApp, scope: Scope, body: bytes) -> tuple[int, bytes]:
    status, parts, is_sent = 0, list[bytes](), False

    async def receive() -> Message:
        nonlocal is_sent
        if is_sent:
            return {"type": "http.disconnect"}
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, b"".join(parts)
