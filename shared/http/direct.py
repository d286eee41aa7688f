"""Calls the endpoints of the busiest paths straight away, without the layers of the app that only other routes need.

The same routes stand in the app, for its OpenAPI document and for whatever isn't an exact match.
"""

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.problems import Unforeseen
from shared.http.trace import Traceparent

Endpoint = Callable[[Request], Awaitable[Response]]


class Direct:
    """An ASGI app around `app`. `routes` have no parameters in their paths; their endpoints take the request."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._apps = {
            (method, route.path): Traceparent(Unforeseen(_called(route.endpoint)))
            for route in routes
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp | None = None
        if scope["type"] == "http":
            app = self._apps.get((scope["method"], scope["path"]))
        await (app or self._app)(scope, receive, send)


def _called(endpoint: Endpoint) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    return app
