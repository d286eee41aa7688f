"""Bounds on what a client may send: bytes of a body, requests of a key. Reaching one is told to `on_limit`."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from math import ceil
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from shared.http.problems import Problem

OnLimit = Callable[[str], None]
BODY_LIMIT: Final = "body_bytes"
RATE_LIMIT: Final = "rate"
DROP_BYTES_MAX: Final = 64 * 1024 * 1024
DROP_SECONDS_MAX: Final = 5.0


def _tell_nobody(limit: str) -> None:
    """The default hook."""


async def read_body(scope: Scope, receive: Receive, *, bytes_max: int, on_limit: OnLimit = _tell_nobody) -> bytes:
    """The whole body of a request. Raises Problem 413 when it is, or says it is, larger.

    What is too large is read to its end and dropped, because a client whose connection is closed while it still sends
    never sees the answer. For a Starlette request: `read_body(request.scope, request.receive, …)`.
    """
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > bytes_max:
        if b"expect" not in headers:  # who waits for a 100 Continue has not begun to send
            await _drop(receive)
        raise _too_large(bytes_max, on_limit)
    chunks: list[bytes] = []
    size = 0
    is_more = True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        is_more = message.get("more_body", False)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > bytes_max:
            if is_more:
                await _drop(receive)
            raise _too_large(bytes_max, on_limit)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def stream_body(
    scope: Scope, receive: Receive, *, bytes_max: int, on_limit: OnLimit = _tell_nobody
) -> AsyncIterator[bytes]:
    """The body of a request as it comes, for one too large to be held. Raises Problem 413 as `read_body` does, and 400
    for one that ends before its end, which is told to nobody."""
    declared = dict(scope["headers"]).get(b"content-length", b"")
    size = int(declared) if declared.isdigit() else 0
    is_more = size <= bytes_max
    size = 0 if is_more else size
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Problem(400, "Interrupted", "The body ended before its end.")
        is_more = message.get("more_body", False)
        size += len(message.get("body", b""))
        if size > bytes_max:
            break
        yield message.get("body", b"")
    if size > bytes_max:
        raise _too_large(bytes_max, on_limit)


class Received:
    """What is received of a request, and whether more is on its way: for one that may be refused at any point of it."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        # Who waits for a 100 Continue sends nothing before somebody asks for it.
        self._is_more = b"expect" not in dict(scope["headers"])

    async def __call__(self) -> Message:
        message = await self._receive()
        self._is_more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def drop_rest(self) -> None:
        """Receives what still comes, within bounds, so that its sender sees the answer."""
        if self._is_more:
            await _drop(self)


def require_uncompressed(headers: Mapping[str, str]) -> None:
    """Raises Problem 415 for a body that is to be inflated first."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "Unsupported content encoding", "Send the body without compression.")


async def _drop(receive: Receive) -> None:
    """Receives the rest of a body, within bounds of bytes and time, and keeps nothing of it."""
    dropped, is_more = 0, True
    with suppress(TimeoutError):
        async with asyncio.timeout(DROP_SECONDS_MAX):
            while is_more and dropped < DROP_BYTES_MAX:
                message = await receive()
                dropped += len(message.get("body", b""))
                is_more = message.get("more_body", False)


class RateLimiter:
    """A token bucket per key, in memory; the keys longest unused are forgotten first (a forgotten bucket is full)."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        on_limit: OnLimit = _tell_nobody,
        keys_max: int = 10_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if per_second <= 0 or burst < 1:
            raise ValueError("a rate and its burst are positive")
        self._per_second = per_second
        self._burst = float(burst)
        self._on_limit = on_limit
        self._keys_max = keys_max
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, tokens: int = 1) -> float:
        """Takes tokens and returns 0.0; or takes none and returns the seconds until there are enough.

        More tokens than the burst are granted to a full bucket, which then owes them.
        """
        now, burst, buckets = self._monotonic(), self._burst, self._buckets
        held, at = buckets.pop(key, (burst, now))
        held = min(burst, held + (now - at) * self._per_second)
        missing = (tokens if tokens < burst else burst) - held
        buckets[key] = (held if missing > 0 else held - tokens, now)
        if len(buckets) > self._keys_max:
            buckets.popitem(last=False)
        return missing / self._per_second if missing > 0 else 0.0

    def require(self, key: str, tokens: int = 1) -> None:
        """Takes tokens. Raises Problem 429 with Retry-After when there are too few."""
        if wait_seconds := self.take(key, tokens):
            self._on_limit(RATE_LIMIT)
            headers = {"Retry-After": str(ceil(wait_seconds))}
            raise Problem(429, "Too many requests", "This key sends faster than its limit.", headers=headers)


def _too_large(bytes_max: int, on_limit: OnLimit) -> Problem:
    on_limit(BODY_LIMIT)
    # The rest of the body may not have been read, so the connection can't carry another request.
    return Problem(413, "Content too large", f"The limit is {bytes_max} bytes.", headers={"Connection": "close"})
