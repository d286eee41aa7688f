"""A server span for each POST: what changes something may have consequences down the line, and they continue it."""

from collections.abc import Collection

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.trace import traceparent_of
from shared.telemetry.spans import Spans


class ServerSpans:
    """ASGI middleware. What it wraps sees the span's own `traceparent` in place of the caller's.

    `direct_paths` are those that are answered without a router, which else tells the route of a request.
    """

    def __init__(self, app: ASGIApp, spans: Spans, direct_paths: Collection[str]) -> None:
        self._app = app
        self._spans = spans
        self._direct_paths = direct_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        attributes = {"http.request.method": "POST", "url.scheme": scope["scheme"]}
        span = self._spans.begin("POST", "server", attributes, parent=traceparent_of(scope))
        others = [header for header in scope["headers"] if header[0] != b"traceparent"]
        inner = {**scope, "headers": [*others, (b"traceparent", span.traceparent.encode())]}
        status = 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(inner, receive, note_status)
        finally:
            if route := self._route_of(inner):
                span.rename(f"POST {route}")
                span.set({"http.route": route})
            span.set({"http.response.status_code": status})
            span.end(str(status) if status >= 500 else None)

    def _route_of(self, scope: Scope) -> str | None:
        """As it is declared, without the values of its parameters."""
        route = scope.get("route")
        if isinstance(route, Route):
            return route.path
        path: str = scope["path"]
        return path if path in self._direct_paths else None
