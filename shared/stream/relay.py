"""Ships one owner's committed rows to Kafka, in their order: at least once; readers drop what comes again.

The next batch goes only after all acknowledgements of the one before. Any fault closes the producer and begins again
after the last row known to be acknowledged (DESIGN.md "Relay").
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import structlog

from shared.errors import OwnershipLost, Surroundings
from shared.events.envelope import Event
from shared.stream import outbox_sql as sql
from shared.stream.carrier import Slot
from shared.stream.faults import kind_of
from shared.stream.metrics import Metrics

log = structlog.get_logger()

ROWS_PER_BATCH = 2_000
ROWS_HANDED_MAX = 10_000
NOTE_SECONDS = 0.5
FLUSH_SECONDS = 2.0
# Longer than the lock of a stopped owner lasts.
STATEMENT_SECONDS_MAX = 20.0
BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Row(NamedTuple):
    """One event on its way."""

    number: int
    topic: str
    partition: int
    seq: int
    event: Event


class RelaySlot(NamedTuple):
    """Whose rows a relay ships."""

    slot: Slot
    epoch: int
    emitter_id: int


# Sends rows of this emitter and returns once all are acknowledged; after an error it starts from a new producer.
Send = Callable[[str, Sequence[Row]], Awaitable[None]]


class Relay:
    """Runs beside its claim. `give` is called after each commit, so that rows need not be read back."""

    def __init__(
        self,
        of: RelaySlot,
        *,
        send: Send,
        pool: Any,
        topics: dict[int, str],
        metrics: Metrics,
        shipped_through: int,
        last_row: int,
    ) -> None:
        self._slot, self._epoch, self._emitter_id = of
        self._send = send
        self._pool = pool
        self._topics = topics
        self._metrics = metrics
        self._shipped = shipped_through
        self._noted = shipped_through
        self._last_row = last_row
        self._note_at = 0.0
        self._batch = ROWS_PER_BATCH
        self._handed: deque[Row] = deque()
        self._arrived = asyncio.Event()
        self._arrived.set()
        self._dry = asyncio.Event()
        self._log = log.bind(service=self._slot.service, kind=self._slot.kind, number=self._slot.number)

    @property
    def is_dry(self) -> bool:
        """True while every committed row is acknowledged."""
        return self._shipped >= self._last_row

    @property
    def shipped_through(self) -> int:
        """The last row known to be acknowledged."""
        return self._shipped

    def noted(self, shipped_through: int) -> None:
        """A step of the owner has written so much down: the next note is due only once no more steps do."""
        self._noted = max(self._noted, shipped_through)
        self._note_at = asyncio.get_running_loop().time() + NOTE_SECONDS

    def give(self, rows: Sequence[Row]) -> None:
        """These were committed. Handed rows past the bound are dropped: they are read from the table in their turn. So
        are those before a hole: of a commit whose answer was lost nothing is handed over."""
        if not rows:
            return
        self._last_row = rows[-1].number
        handed = self._handed
        if handed and rows[0].number != handed[-1].number + 1:
            handed.clear()
        if len(handed) + len(rows) > ROWS_HANDED_MAX:
            handed.clear()
        else:
            handed.extend(rows)
        self._dry.clear()
        self._arrived.set()

    def expect(self, last_row: int) -> None:
        """The table holds rows up to this one: a commit whose answer was lost may have gone through."""
        if last_row > self._last_row:
            self._last_row = last_row
            self._dry.clear()
            self._arrived.set()

    async def flush(self, timeout_seconds: float = FLUSH_SECONDS) -> bool:
        """Waits until all committed rows are acknowledged; False at the time-out."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while not self.is_dry:
                    self._dry.clear()
                    await self._dry.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Until cancelled, or until the epoch is another's."""
        failures = 0
        while True:
            try:
                await self._ship()
                failures = 0
                await self._rest()
            except OwnershipLost:
                self._log.warning("relay_lost_its_slot")
                return
            except Exception as error:
                failures += 1
                self._handed.clear()
                # Of a batch that takes longer than a send may, no part would ever be known to be acknowledged.
                self._batch = max(1, self._batch // 2)
                self._metrics.relay_restarts.labels(self._slot.service).inc()
                self._log.warning("relay_restarted", kind=kind_of(error), after_row=self._shipped, failures=failures)
                await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1])

    async def note(self) -> None:
        """Writes how far Kafka has acknowledged. Raises OwnershipLost when a successor ships these rows now."""
        if self._noted >= self._shipped:
            return
        shipped = self._shipped
        status = await self._pool.execute(sql.SHIPPED, *self._slot, self._epoch, shipped, timeout=STATEMENT_SECONDS_MAX)
        if status != "UPDATE 1":
            raise OwnershipLost
        self._noted = shipped

    async def _ship(self) -> None:
        while not self.is_dry:
            rows = self._take() or await self._read()
            if not rows:
                raise Surroundings("rows that were committed are not in the outbox")
            await self._send(self._slot.emitter, rows)
            self._shipped = rows[-1].number
            self._batch = min(ROWS_PER_BATCH, 2 * self._batch)
            self._metrics.relay_shipped.labels(self._slot.service).inc(len(rows))
        self._dry.set()

    async def _rest(self) -> None:
        """Until rows come; what was acknowledged is noted now and then, not for every batch."""
        now = asyncio.get_running_loop().time()
        if now >= self._note_at:
            self._note_at = now + NOTE_SECONDS
            await self.note()
        self._arrived.clear()
        if self.is_dry:
            with suppress(TimeoutError):
                async with asyncio.timeout(NOTE_SECONDS):
                    await self._arrived.wait()

    def _take(self) -> list[Row]:
        """What was handed over and follows the last acknowledged row without a hole."""
        handed = self._handed
        while handed and handed[0].number <= self._shipped:
            handed.popleft()
        if not handed or handed[0].number != self._shipped + 1:
            handed.clear()
            return []
        return list(islice(handed, self._batch))

    async def _read(self) -> list[Row]:
        found = await self._pool.fetch(
            sql.UNSHIPPED, self._emitter_id, self._shipped, self._batch, timeout=STATEMENT_SECONDS_MAX
        )
        return [Row(row[0], self._topics[row[1]], row[2], row[3], Event(*row[4:])) for row in found]
