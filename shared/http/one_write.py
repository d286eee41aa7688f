"""The head and the body of an answer as one write: two are two system calls, and often two packets.

uvicorn writes the head as soon as the application says it. ASGI allows a server to wait for the first of the body, and
a body whose length was told follows at once.
"""

from typing import Protocol

from starlette.types import Scope


class Cycle(Protocol):
    """What is looked at of uvicorn's request and its answer."""

    scope: Scope
    response_started: bool
    chunked_encoding: bool | None
    expected_content_length: int


class Transport(Protocol):
    """What an answer needs of its connection."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def is_closing(self) -> bool: ...


class OneWrite:
    """The transport of one answer. A streamed answer, and one without a body, is written as it comes."""

    __slots__ = ("_cycle", "_head", "_transport", "close", "is_closing")

    def __init__(self, cycle: Cycle, transport: Transport) -> None:
        # Let go of with the head: it holds this one, and what holds each other is garbage to be looked for.
        self._cycle: Cycle | None = cycle
        self._transport = transport
        self._head: bytes | None = None
        self.close = transport.close
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if self._head is not None:
            data, self._head = self._head + data, None
        elif (cycle := self._cycle) is not None and cycle.response_started:
            self._cycle = None
            if _has_body_of_known_length(cycle):
                self._head = data
                return
        self._transport.write(data)


def _has_body_of_known_length(cycle: Cycle) -> bool:
    return cycle.chunked_encoding is False and cycle.expected_content_length > 0 and cycle.scope["method"] != "HEAD"
