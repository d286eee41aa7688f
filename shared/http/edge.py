"""The edge of the process: bounds on what a connection may do before any code of ours sees a request.

A head must be small and arrive soon, a body must keep coming, and there are only so many connections. Looked at once a
second for all connections together, so that a request costs next to nothing more.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from shared.http.one_write import OneWrite

CONNECTIONS_MAX: Final = 5_000  # most of them readers of the stream, who are nearly idle
HEAD_BYTES_MAX: Final = 32 * 1024
HEADERS_MAX: Final = 128
HEAD_SECONDS_MAX: Final = 10.0
BODY_GRACE_SECONDS: Final = 10.0
BODY_BYTES_PER_SECOND_MIN: Final = 1_024
LOOK_SECONDS: Final = 1.0
STALLED_SECONDS_MAX: Final = 20.0

# The parser takes what follows a wish to upgrade for another protocol's, and a body would be lost: clients of Java wish
# for h2c with their first POST. A server may ignore the wish (RFC 9110 7.8), and there is nothing here to upgrade to.
_UPGRADE: Final = re.compile(rb"\r\nupgrade[ \t]*:[^\r\n]*", re.IGNORECASE)

_ANSWER: Final = "HTTP/1.1 {0}\r\n{1}content-length: 0\r\nconnection: close\r\n\r\n"
_BUSY: Final = _ANSWER.format("503 Service Unavailable", "retry-after: 1\r\n").encode()
_SLOW: Final = _ANSWER.format("408 Request Timeout", "").encode()
_LARGE: Final = _ANSWER.format("431 Request Header Fields Too Large", "").encode()


class HeadTooLarge(Exception):
    """Ends the parsing of a request that was answered already."""


class EdgeProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds; a subclass sets `on_limit`, which is told which one was reached."""

    on_limit: Callable[[str], None]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_began: float | None = self.loop.time()  # None while no head is awaited
        self._read_bytes = 0  # of the last read
        self._bare_bytes = 0  # received since a head ended or a body went on: of a head or a trailer, parsed or not
        self.url, self.headers = b"", []  # as where a head begins
        self._body_began: float | None = None  # None while no body is awaited
        self._body_bytes = 0
        self._stalled_since: float | None = None  # while the client doesn't take what was written
        if len(self.connections) > CONNECTIONS_MAX:
            self._end("connections", _BUSY)

    def data_received(self, data: bytes) -> None:
        self._read_bytes = size = len(data)
        self._bare_bytes += size
        if self._body_began is None and b"pgrade" in data:
            head, end, rest = data.partition(b"\r\n\r\n")
            data = _UPGRADE.sub(b"", head) + end + rest
        super().data_received(data)
        if self._head_began is None and self._body_began is None:
            return
        if (self._bare_bytes > HEAD_BYTES_MAX or self._is_head_large()) and not self.transport.is_closing():
            self._end("head_bytes", _LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_began = self.loop.time()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        cycle.transport = OneWrite(cycle, self.transport)  # type: ignore[arg-type,assignment]
        super()._start_asgi_task(cycle, app)

    def on_headers_complete(self) -> None:
        if self._is_head_large():
            self._end("head_bytes", _LARGE)
            raise HeadTooLarge
        self._head_began, self._bare_bytes = None, 0
        self._body_began, self._body_bytes = self.loop.time(), 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._bare_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._body_began = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stalled_since = None

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def look(self, now: float) -> None:
        """Ends the connection if it keeps us waiting. Nothing more can be told to one that takes nothing."""
        if self._stalled_since is not None and now - self._stalled_since > STALLED_SECONDS_MAX:
            self.on_limit("stalled_seconds")
            self.transport.abort()
            return
        if self.transport.is_closing():
            return
        if self._head_began is not None and now - self._head_began > HEAD_SECONDS_MAX:
            self._end("head_seconds", _SLOW)
        elif self._body_began is not None and not self.flow.read_paused:
            seconds = now - self._body_began
            if seconds > BODY_GRACE_SECONDS and self._body_bytes < seconds * BODY_BYTES_PER_SECOND_MIN:
                self._end("body_seconds", _SLOW)

    def _is_head_large(self) -> bool:
        """Whether what was parsed of it, or of a trailer, is too much. Looked at once a read and once a head: to look
        at each header as it comes would cost more than everything else here."""
        if len(self.headers) > HEADERS_MAX:
            return True
        if self._bare_bytes + self._read_bytes <= HEAD_BYTES_MAX:  # it can't be, and mostly isn't
            return False
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES_MAX

    def _end(self, limit: str, answer: bytes) -> None:
        self.on_limit(limit)
        # An answer may be told as long as none is under way.
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(answer)
        self.transport.close()


class Edge:
    """The edge of one process: `protocol` for uvicorn, and the loop that looks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        limits = Counter(
            "accord_http_limit_reached_total", "Connections ended at the edge", ("limit",), registry=registry
        )

        class Protocol(EdgeProtocol):
            on_limit = staticmethod(lambda limit: limits.labels(limit).inc())

        self.protocol: type[EdgeProtocol] = Protocol

    async def watch(self, connections: Callable[[], Iterable[object]]) -> None:
        """Looks at all connections once a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = loop.time()
            for connection in list(connections()):
                if isinstance(connection, EdgeProtocol):
                    connection.look(now)
