"""Upkeep of the Kafka carrier in Postgres: what waits for Kafka, how far readers are behind, trimming what is shipped.

Kafka keeps what it has acknowledged for its topic's retention; the rows here are kept a little longer than any relay
could need them again.
"""

import asyncio
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from shared.stream.lag import look_for_ever
from shared.stream.metrics import Metrics
from shared.stream.trim import ROW_OVERHEAD_BYTES, ROWS_PER_TRIM, SAMPLE_ROWS, trim_for_ever

KEEP_SHIPPED = timedelta(minutes=10)
# How far back a reader's lag can be told: an hour of looks.
LOOKS_KEPT = 1_800

OWNERS = """SELECT e.emitter_id, o.service, o.kind, o.number, o.next_row, o.shipped_through, coalesce((
    SELECT row_number FROM stream.outbox b WHERE b.emitter_id = e.emitter_id ORDER BY row_number LIMIT 1),
    o.next_row) AS first_row, coalesce((
    SELECT extract(epoch FROM clock_timestamp() - appended_at)::float8 FROM stream.outbox b
    WHERE b.emitter_id = e.emitter_id AND b.row_number > o.shipped_through ORDER BY row_number LIMIT 1),
    0) AS oldest_seconds
FROM stream.ownership o JOIN stream.emitters e ON e.name = o.service || '/' || o.number
WHERE o.next_row > 1"""

ROW_BYTES = """SELECT coalesce(avg(octet_length(value)), 0)::bigint FROM (
    SELECT value FROM stream.outbox WHERE emitter_id = $1 ORDER BY row_number DESC LIMIT $2) AS newest"""

# All before the first row that is kept: only what goes is read, and one row more.
TRIM = """WITH gone AS (
    DELETE FROM stream.outbox WHERE emitter_id = $1 AND row_number < coalesce((
        SELECT min(row_number) FROM stream.outbox
        WHERE emitter_id = $1 AND row_number < $2 AND appended_at >= now() - $3::interval), $2)
    RETURNING topic_id)
SELECT name, count(*) FROM gone JOIN stream.topics USING (topic_id) GROUP BY name"""

LAG = """SELECT o.service, t.name, o.number, coalesce(sum(s.seq), 0)::bigint AS last, coalesce(sum(greatest(
    s.seq - coalesce((o.positions #>> ARRAY[t.name, '1', e.name])::bigint, 0), 0)), 0)::bigint AS unread
FROM stream.ownership o
CROSS JOIN LATERAL jsonb_object_keys(o.positions) AS read(topic)
JOIN stream.topics t ON t.name = read.topic
LEFT JOIN stream.sequences s ON s.topic_id = t.topic_id AND s.partition = o.number
LEFT JOIN stream.emitters e USING (emitter_id)
WHERE o.kind = 'partition' GROUP BY o.service, t.name, o.number"""


class OutboxKeeper:
    """Trims what is shipped. Runs until cancelled; `on_full` hears whether what waits for Kafka exceeds the bound."""

    def __init__(self, pool: Any, *, metrics: Metrics, bytes_max: int, on_full: Callable[[bool], None]) -> None:
        self._pool = pool
        self._metrics = metrics
        self._bytes_max = bytes_max
        self._on_full = on_full

    async def run(self) -> None:
        await trim_for_ever(self.trim)

    async def trim(self) -> int:
        """One bounded pass over all owners. Returns the largest number of rows trimmed of one."""
        owners = await self._pool.fetch(OWNERS)
        kept = waiting = 0
        for owner in owners:
            row_bytes = await self._pool.fetchval(ROW_BYTES, owner["emitter_id"], SAMPLE_ROWS) + ROW_OVERHEAD_BYTES
            kept += row_bytes * (owner["next_row"] - owner["first_row"])
            waiting += row_bytes * (owner["next_row"] - 1 - owner["shipped_through"])
        self._metrics.log_bytes.set(kept)
        is_full = waiting > self._bytes_max
        self._metrics.log_full.set(is_full)
        self._on_full(is_full)
        keep = timedelta(0) if kept > self._bytes_max else KEEP_SHIPPED
        return max([await self._trim_owner(owner, keep) for owner in owners], default=0)

    async def _trim_owner(self, owner: Any, keep: timedelta) -> int:
        if owner["first_row"] > owner["shipped_through"]:
            return 0
        end = min(owner["shipped_through"] + 1, owner["first_row"] + ROWS_PER_TRIM)
        gone = await self._pool.fetch(TRIM, owner["emitter_id"], end, keep)
        for topic, count in gone:
            self._metrics.trimmed.labels(topic).inc(count)
        return sum(count for _, count in gone)


class OutboxLag:
    """How far readers and relays are behind. Runs until cancelled."""

    def __init__(self, pool: Any, metrics: Metrics) -> None:
        self._pool = pool
        self._metrics = metrics
        self._ends: dict[tuple[str, int], deque[tuple[float, int]]] = defaultdict(lambda: deque(maxlen=LOOKS_KEPT))

    async def run(self) -> None:
        await look_for_ever(self.refresh)

    async def refresh(self) -> None:
        """One look. A lag in seconds is as old as the first look that saw an event which is not read yet."""
        now = asyncio.get_running_loop().time()
        found = await self._pool.fetch(LAG)
        for topic, partition, last in {(topic, partition, last) for _, topic, partition, last, _ in found}:
            self._ends[topic, partition].append((now, last))
        for service, topic, partition, last, unread in found:
            labels = (service, topic, str(partition))
            self._metrics.lag_events.labels(*labels).set(unread)
            looks = self._ends[topic, partition]
            seen = bisect_right(looks, last - unread, key=lambda look: look[1])
            since = looks[seen][0] if seen < len(looks) else now
            self._metrics.lag_seconds.labels(*labels).set(now - since)
        for owner in await self._pool.fetch(OWNERS):
            labels = (owner["service"], owner["kind"], str(owner["number"]))
            self._metrics.relay_backlog_events.labels(*labels).set(owner["next_row"] - 1 - owner["shipped_through"])
            self._metrics.relay_oldest_seconds.labels(*labels).set(owner["oldest_seconds"])
