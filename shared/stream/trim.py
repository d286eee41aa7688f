"""Trims the log: what every reader has read and is older than its topic's retention goes; over the log's size bound
what every reader has read goes at once. What is still needed is never trimmed: when that alone exceeds the bound, the
log is full, and publishers answer 503 (DESIGN.md "Relay")."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog

from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS
from shared.events import topics
from shared.stream.metrics import Metrics

log = structlog.get_logger()

PAUSE_SECONDS = 5.0
ROWS_PER_TRIM = 20_000
SAMPLE_ROWS = 20
# What a row costs beside its value: its other columns, its header, its index entry.
ROW_OVERHEAD_BYTES = 250

RETENTION: Mapping[str, timedelta] = {
    topics.ACTIVITY: timedelta(days=7),
    topics.SALES: timedelta(days=7),
    topics.SCORE: timedelta(days=3),
    topics.LIFECYCLE: timedelta(days=14),
    topics.SLA: timedelta(days=14),
    topics.DEAD_LETTER: timedelta(days=14),
}

PLACES = """SELECT t.topic_id, t.name, f.partition, f.first_offset, f.next_offset, coalesce((
    SELECT min((o.positions #>> ARRAY[t.name, '0'])::bigint) FROM stream.ownership o
    WHERE o.kind = 'partition' AND o.number = f.partition AND o.positions ? t.name), f.next_offset) AS read_by_all, (
    SELECT appended_at FROM stream.log l WHERE l.topic_id = f.topic_id AND l.partition = f.partition
    ORDER BY log_offset LIMIT 1) AS oldest_at
FROM stream.offsets f JOIN stream.topics t USING (topic_id)"""

# Ordered and limited, so that Postgres reads no more than these: by the offset alone it would read the whole log.
ROW_BYTES = """SELECT coalesce(avg(octet_length(value)), 0)::bigint
FROM stream.offsets f CROSS JOIN LATERAL (
    SELECT value FROM stream.log l WHERE l.topic_id = f.topic_id AND l.partition = f.partition
        AND l.log_offset >= f.next_offset - $1::integer ORDER BY log_offset LIMIT $1) AS newest"""

# It reads what is to be trimmed, and one row more.
FIRST_KEPT = """SELECT min(log_offset) FROM stream.log
WHERE topic_id = $1 AND partition = $2 AND log_offset >= $3 AND log_offset < $4 AND appended_at >= $5"""

TRIM = """WITH moved AS (
    UPDATE stream.offsets SET first_offset = $3 WHERE topic_id = $1 AND partition = $2 AND first_offset < $3)
DELETE FROM stream.log WHERE topic_id = $1 AND partition = $2 AND log_offset < $3"""


class _Place(NamedTuple):
    topic_id: int
    topic: str
    partition: int
    first_offset: int
    next_offset: int
    read_by_all: int
    oldest_at: datetime | None


async def trim_for_ever(trim: Callable[[], Awaitable[int]]) -> None:
    """`trim` makes one pass and tells how much it trimmed: after a full one the next follows at once."""
    while True:
        trimmed = 0
        try:
            trimmed = await trim()
        except DATABASE_ERRORS as error:
            log.warning("trim_retried", kind=type(error).__name__)
        if trimmed < ROWS_PER_TRIM:
            await asyncio.sleep(PAUSE_SECONDS)


class Trimmer:
    """Runs until cancelled; `is_full` is what publishers ask."""

    def __init__(
        self,
        pool: Any,
        *,
        clock: Clock,
        metrics: Metrics,
        bytes_max: int,
        on_full: Callable[[bool], None],
        retention: Mapping[str, timedelta] = RETENTION,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._metrics = metrics
        self._bytes_max = bytes_max
        self._on_full = on_full
        self._retention = retention

    async def run(self) -> None:
        await trim_for_ever(self.trim)

    async def trim(self) -> int:
        """One bounded pass over all topics and partitions. Returns the largest number of rows trimmed at one place."""
        places = [_Place(*row) for row in await self._pool.fetch(PLACES)]
        row_bytes = int(await self._pool.fetchval(ROW_BYTES, SAMPLE_ROWS)) + ROW_OVERHEAD_BYTES
        kept_bytes = row_bytes * sum(place.next_offset - place.first_offset for place in places)
        needed_bytes = row_bytes * sum(place.next_offset - place.read_by_all for place in places)
        self._metrics.log_bytes.set(kept_bytes)
        is_full = needed_bytes > self._bytes_max
        self._metrics.log_full.set(is_full)
        self._on_full(is_full)
        now = self._clock.now()
        is_over = kept_bytes > self._bytes_max
        counts = [
            await self._trim_place(place, now if is_over else now - self._retention[place.topic]) for place in places
        ]
        return max(counts, default=0)

    async def _trim_place(self, place: _Place, before: datetime) -> int:
        if place.read_by_all <= place.first_offset or place.oldest_at is None or place.oldest_at >= before:
            return 0
        where = (place.topic_id, place.partition)
        end = min(place.read_by_all, place.first_offset + ROWS_PER_TRIM)
        kept = await self._pool.fetchval(FIRST_KEPT, *where, place.first_offset, end, before)
        status: str = await self._pool.execute(TRIM, *where, end if kept is None else kept)
        count = int(status.split()[-1])
        self._metrics.trimmed.labels(place.topic).inc(count)
        return count
