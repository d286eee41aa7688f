"""Asks an ASGI app one thing, in this process and without a socket."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes
    set_cookies: Sequence[str] = ()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: ASGIApp,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    chunks: Sequence[bytes] = (b"",),
) -> Answer:
    """Sends the chunks one by one as the body, and gives what came back."""
    sent: list[Message] = []
    waiting = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    waiting[-1]["more_body"] = False

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw_headers = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    path, _, query = path.partition("?")
    address = {
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
    }
    scope = {"type": "http", "http_version": "1.1", "headers": raw_headers, "server": ("testserver", 80), **address}
    await app(scope, receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    body = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    headers_sent = [(name.decode(), value.decode()) for name, value in start["headers"]]
    cookies = [value for name, value in headers_sent if name == "set-cookie"]
    return Answer(start["status"], dict(headers_sent), body, cookies)
