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
    """An ASGI app around `app`. Paths of `routes` and `bare` have no parameter, or one as their last part; endpoints
    take the request. Those of `bare` are called when no query came; with one the app validates it."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route], bare: Iterable[Route] = ()) -> None:
        self._app = app
        self._apps: dict[tuple[str, str], ASGIApp] = {}
        self._below: dict[tuple[str, str], ASGIApp] = {}  # by the path up to its last slash
        for route in routes:
            self._add(route, _called)
        for route in bare:
            self._add(route, self._called_bare)

    def _add(self, route: Route, call: Callable[[Route, str | None], ASGIApp]) -> None:
        head, _, last = route.path.rpartition("/")
        name = last[1:-1] if last.startswith("{") else None
        called = Traceparent(call(route, name))
        for method in route.methods or ():
            if name is None:
                self._apps[method, route.path] = called
            else:
                self._below[method, head + "/"] = called

    def _called_bare(self, route: Route, parameter: str | None) -> ASGIApp:
        called = _called(route, parameter)

        def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            is_bare = not scope["query_string"] and not scope["path"].endswith("/")
            return (called if is_bare else self._app)(scope, receive, send)

        return app

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
