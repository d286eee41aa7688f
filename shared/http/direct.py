"""Calls the endpoints of the busiest paths straight away, without the layers of the app that only other routes need.

The same routes stand in the app, for its OpenAPI document and for whatever isn't an exact match.
"""

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.problems import answer_to
from shared.http.trace import Traceparent

Endpoint = Callable[[Request], Awaitable[Response]]


class Direct:
    """An ASGI app around `app`. Paths of `routes` have no parameter, or one as their last part; endpoints take the
    request."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._apps: dict[tuple[str, str], ASGIApp] = {}
        self._below: dict[tuple[str, str], ASGIApp] = {}  # by the path up to its last slash
        for route in routes:
            head, _, last = route.path.rpartition("/")
            name = last[1:-1] if last.startswith("{") else None
            called = Traceparent(_called(route, name))
            for method in route.methods or ():
                if name is None:
                    self._apps[method, route.path] = called
                else:
                    self._below[method, head + "/"] = called

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp | None = None
        if scope["type"] == "http":
            method, path = scope["method"], scope["path"]
            app = self._apps.get((method, path)) or self._below.get((method, path[: path.rfind("/") + 1]))
        await (app or self._app)(scope, receive, send)


def _called(route: Route, parameter: str | None) -> ASGIApp:
    endpoint: Endpoint = route.endpoint

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if parameter is not None:
            scope["path_params"] = {parameter: scope["path"].rpartition("/")[2]}
            scope["route"] = route
        try:
            response = await endpoint(Request(scope, receive, send))
        except Exception as error:
            response = answer_to(error, scope)
        await response(scope, receive, send)

    return app
