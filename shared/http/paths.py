"""A slash that was sent as `%2F` belongs to a part of the path: `/v1/leads/user_id:shop%2F7` names one lead.

Servers decode the path before anybody matches it, so that such a slash would end the part. Here it stays `%2F`.
"""

import re
from typing import Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_SENT: Final = re.compile(rb"%2f", re.IGNORECASE)


class EncodedSlashes:
    """ASGI middleware. Whoever takes a part of the path that may hold slashes gives it to `with_slashes`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path") or b"" if scope["type"] == "http" else b""
        if _SENT.search(raw):
            scope = {**scope, "path": unquote(_SENT.sub(b"%252F", raw).decode("latin-1"))}
        await self._app(scope, receive, send)


def with_slashes(part: str) -> str:
    """A part of a path as it was meant."""
    return part.replace("%2F", "/")
