"""How far each reader is behind, in events and in seconds; refreshed by one statement every two seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from shared.db.faults import DATABASE_ERRORS
from shared.stream.metrics import Metrics

log = structlog.get_logger()

PAUSE_SECONDS = 2.0

LAG = """SELECT o.service, p.topic, o.number, f.next_offset - p.read AS events, coalesce((
    SELECT extract(epoch FROM clock_timestamp() - l.appended_at) FROM stream.log l
    WHERE l.topic_id = t.topic_id AND l.partition = o.number AND l.log_offset >= p.read
    ORDER BY l.log_offset LIMIT 1), 0) AS seconds
FROM stream.ownership o
CROSS JOIN LATERAL (SELECT key, (value ->> 0)::bigint FROM jsonb_each(o.positions)) AS p(topic, read)
JOIN stream.topics t ON t.name = p.topic
JOIN stream.offsets f ON f.topic_id = t.topic_id AND f.partition = o.number
WHERE o.kind = 'partition'"""


async def look_for_ever(refresh: Callable[[], Awaitable[None]]) -> None:
    """A look that fails is made again in its turn."""
    while True:
        try:
            await refresh()
        except DATABASE_ERRORS as error:
            log.warning("lag_not_read", kind=type(error).__name__)
        await asyncio.sleep(PAUSE_SECONDS)


class LagMonitor:
    """Runs until cancelled."""

    def __init__(self, pool: Any, metrics: Metrics) -> None:
        self._pool = pool
        self._metrics = metrics

    async def run(self) -> None:
        await look_for_ever(self.refresh)

    async def refresh(self) -> None:
        for service, topic, partition, events, seconds in await self._pool.fetch(LAG):
            labels = (service, topic, str(partition))
            self._metrics.lag_events.labels(*labels).set(events)
            self._metrics.lag_seconds.labels(*labels).set(float(seconds))
