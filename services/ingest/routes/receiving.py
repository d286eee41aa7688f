"""A body on its way in: bounded, inflated within its bound, and all of them together bounded too."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from starlette.requests import Request

from services.ingest.metrics import Metrics
from shared.errors import Unavailable
from shared.http.limits import OnLimit, read_body
from shared.http.problems import Problem

_GZIP: Final = 16 + zlib.MAX_WBITS
PIECE_BYTES: Final = 256 * 1024
ENCODINGS: Final = ("gzip", "identity")


class Room:
    """How many bytes of bodies this process holds: what is being received, judged or committed."""

    def __init__(self, bytes_max: int, metrics: Metrics) -> None:
        self._bytes_max = bytes_max
        self._metrics = metrics
        self._held = 0
        metrics.in_flight_bytes.set_function(lambda: self._held)

    def take(self, size: int) -> None:
        """Whoever takes gives back. Raises Unavailable when there is no room for so many bytes now."""
        if self._held and self._held + size > self._bytes_max:
            self._metrics.limit_reached.labels("in_flight_bytes").inc()
            self._metrics.unavailable.inc()
            raise Unavailable("too many bytes are under way")
        self._held += size

    def give_back(self, size: int) -> None:
        self._held -= size


def declared_size(headers: Mapping[str, str], bytes_max: int) -> int:
    """What to hold room for: the size that the request says it has, else the largest it may have."""
    declared = headers.get("content-length", "")
    is_compressed = "content-encoding" in headers
    return min(int(declared), bytes_max) if declared.isdigit() and not is_compressed else bytes_max


async def body_of(request: Request, headers: Mapping[str, str], *, bytes_max: int, on_limit: OnLimit) -> bytes:
    """The body, inflated if it is gzip. Raises Problem 413, 415 or 422."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ENCODINGS:
        raise Problem(415, "Unsupported content encoding", f"Allowed: {', '.join(ENCODINGS)}.")
    body = await read_body(request.scope, request.receive, bytes_max=bytes_max, on_limit=on_limit)
    return body if encoding == "identity" else inflated(body, bytes_max, on_limit)


def inflated(body: bytes, bytes_max: int, on_limit: Callable[[str], None]) -> bytes:
    """All members of a gzip stream. Never makes more than the bound. Raises Problem 413 or 422."""
    parts: list[bytes] = []
    left = bytes_max
    while body:
        stream = zlib.decompressobj(_GZIP)
        try:
            part = stream.decompress(body, left + 1)
        except zlib.error:
            raise _not_gzip() from None
        if len(part) > left:
            on_limit("inflated_bytes")
            raise Problem(413, "Content too large", f"The limit is {bytes_max} bytes when inflated.")
        if not stream.eof:
            raise _not_gzip()
        parts.append(part)
        left -= len(part)
        body = stream.unused_data.lstrip(b"\0")
    return b"".join(parts)


class Inflater:
    """All members of a gzip stream, a bounded piece at a time, whatever a bomb would make of it."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises Problem 422."""
        while data:
            if self._stream.eof:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._stream = zlib.decompressobj(_GZIP)
            try:
                piece = self._stream.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise _not_gzip() from None
            data = self._stream.unconsumed_tail or self._stream.unused_data
            yield piece

    def finish(self) -> None:
        """Raises Problem 422 unless the stream came to its end."""
        if not self._stream.eof:
            raise _not_gzip()


def _not_gzip() -> Problem:
    return Problem(422, "Unreadable body", "The body is not a whole gzip stream, as its Content-Encoding says.")
