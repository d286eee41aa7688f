"""One loop that reads what comes, for all readers of the stream together; each has a bounded queue.

A reader whose queue is full is cut off: it comes back with the id of the last event it got. Nobody waits for anybody.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from services.api.metrics import Metrics
from services.api.routes import stream_place
from services.api.store.stream import Entry, StreamStore
from shared.errors import Unavailable

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.1
# With many readers a look is rarer, so that each finds more at once.
LOOK_SECONDS_PER_READER: Final = 0.000_15
BACK_OFF_SECONDS: Final = 1.0
ENTRIES_MAX: Final = 500
QUEUE_BYTES_MAX: Final = 1_048_576
EARLY_MAX: Final = 5_000


class Told(NamedTuple):
    """One event in the form of the stream. `place` is where a reader stands that has read up to it."""

    entry: Entry
    place: tuple[int, ...]
    id: bytes
    rest: bytes


class Filter(NamedTuple):
    """What a reader wants; an empty part wants everything."""

    types: tuple[str, ...] = ()
    lead_id: UUID | None = None

    def wants(self, entry: Entry) -> bool:
        if self.lead_id is not None and entry.lead_id != self.lead_id:
            return False
        return not self.types or any(
            entry.type.startswith(pattern[:-1]) if pattern.endswith("*") else entry.type == pattern
            for pattern in self.types
        )


class Reader:
    """One connection. It stands where `place` says until it has caught up with the feed; then with the feed."""

    def __init__(self, wanted: Filter, place: Sequence[int]) -> None:
        self.wanted = wanted
        self.place: list[int] | None = list(place)
        self._wants_all = wanted == Filter()
        self._early: list[Told] | None = None
        self.has_come = asyncio.Event()
        self.is_over = False
        self._chunks: deque[bytes] = deque()
        self._bytes = 0

    def push(self, told: Sequence[Told], together: bytes) -> None:
        """What the feed has read; `together` is all of it as bytes."""
        if self._early is not None:
            self._early += told
            if len(self._early) > EARLY_MAX:
                self.end()
        elif self.place is None and self._wants_all:
            self._add(together)
        else:
            for one in told:
                self.push_one(one)

    def begin_early(self) -> None:
        """What the feed reads from now on waits until this reader has caught up with where the feed was."""
        self._early = []

    def end_early(self) -> None:
        early, self._early = self._early or [], None
        for one in early:
            self.push_one(one)

    def push_one(self, told: Told) -> None:
        """Drops what this reader has had. Its own place is its id as long as it is ahead of the feed somewhere."""
        entry, id_ = told.entry, told.id
        if self.place is not None:
            if entry.number <= self.place[entry.partition]:
                return
            self.place[entry.partition] = entry.number
            if tuple(self.place) == told.place:
                self.place = None
            else:
                id_ = stream_place.write(self.place).encode()
        if self.wanted.wants(entry):
            self._add(b"id: %b\n%b" % (id_, told.rest))

    def take(self) -> bytes:
        """Everything that waits."""
        self.has_come.clear()
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        self._bytes = 0
        return chunk

    def end(self) -> None:
        self.is_over = True
        self.has_come.set()

    @property
    def is_full(self) -> bool:
        return self._bytes > QUEUE_BYTES_MAX

    def _add(self, chunk: bytes) -> None:
        if self.is_over or not chunk:
            return
        self._chunks.append(chunk)
        self._bytes += len(chunk)
        self.has_come.set()
        if self.is_full:
            self._chunks.clear()
            self.end()


class Feed:
    """`run` reads until cancelled. It stands still while nobody reads."""

    def __init__(self, store: StreamStore, metrics: Metrics) -> None:
        self.store = store
        self.readers: set[Reader] = set()
        self.place: list[int] = []
        self._metrics = metrics
        self._somebody = asyncio.Event()
        self._is_closed = False
        metrics.stream_readers.set_function(lambda: len(self.readers))

    async def run(self) -> None:
        while True:
            await self._somebody.wait()
            try:
                is_more = await self.look()
            except Unavailable:
                log.warning("stream_not_read")
                await asyncio.sleep(BACK_OFF_SECONDS)
                continue
            await asyncio.sleep(0 if is_more else max(LOOK_SECONDS, len(self.readers) * LOOK_SECONDS_PER_READER))

    async def look(self) -> bool:
        """Reads what has come and gives it to everybody; whether there is more."""
        entries = await self.store.following(self.place, ENTRIES_MAX)
        told = []
        for entry in entries:
            self.place[entry.partition] = entry.number
            if entry.body is not None:
                told.append(_told(entry, tuple(self.place)))
        together = b"".join(b"id: %b\n%b" % (one.id, one.rest) for one in told)
        for reader in list(self.readers):
            reader.push(told, together)
            if reader.is_over:
                self._metrics.limits_reached.labels("stream_queue").inc()
                self.leave(reader)
        return len(entries) >= ENTRIES_MAX

    async def join(self, reader: Reader) -> None:
        """From now on the reader gets what the feed reads. Where nobody read before, the feed begins at the end."""
        if not self.readers:
            ends = await self.store.ends()
            if not self.readers:
                self.place = ends
        reader.begin_early()
        self.readers.add(reader)
        self._somebody.set()
        if self._is_closed:
            reader.end()

    def leave(self, reader: Reader) -> None:
        self.readers.discard(reader)
        if not self.readers:
            self._somebody.clear()

    def close(self) -> None:
        """The process stops: readers come back to another one."""
        self._is_closed = True
        for reader in self.readers:
            reader.end()


def read_by(reader: Reader, entries: Sequence[Entry]) -> bytes:
    """These events for a reader that reads by itself."""
    assert reader.place is not None
    parts = []
    for entry in entries:
        reader.place[entry.partition] = entry.number
        if entry.body is not None and reader.wanted.wants(entry):
            told = _told(entry, tuple(reader.place))
            parts.append(b"id: %b\n%b" % (told.id, told.rest))
    return b"".join(parts)


def _told(entry: Entry, place: tuple[int, ...]) -> Told:
    # Line breaks in JSON stand between tokens only.
    data = (entry.body or "").replace("\r", " ").replace("\n", " ")
    rest = f"event: {entry.type}\ndata: {data}\n\n".encode()
    return Told(entry, place, stream_place.write(place).encode(), rest)
