"""Takes a caller's `traceparent`, gives it back on the answer, and puts its trace id on the request's log lines."""

from collections.abc import Awaitable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.telemetry.tracing import trace_id, valid_traceparent


def traceparent_of(scope: Scope) -> str | None:
    """The request's `traceparent`, None if it has none or none that is valid."""
    sent: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"traceparent":
            if sent is not None:
                return None
            sent = value
    return valid_traceparent(sent.decode("latin-1")) if sent is not None else None


class Traceparent:
    """ASGI middleware; it costs next to nothing for requests without the header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        traceparent = traceparent_of(scope) if scope["type"] == "http" else None
        if traceparent is None:
            return self._app(scope, receive, send)
        return self._traced(traceparent, scope, receive, send)

    async def _traced(self, traceparent: str, scope: Scope, receive: Receive, send: Send) -> None:
        async def give_back(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"traceparent", traceparent.encode())]}
            await send(message)

        with structlog.contextvars.bound_contextvars(trace_id=trace_id(traceparent)):
            await self._app(scope, receive, give_back)
