"""How far the readers of the log have come, and when the database is quiet enough to measure the next thing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.broken import Broken

POLL_SECONDS = 0.02
_QUIET_SECONDS_MAX = 10

# One snapshot: what a step emitted and how far it had read moved in one transaction. The same on both carriers: numbers
# are counted when an event is committed, whether or not Kafka has it already.
_UNREAD = """SELECT o.service, coalesce(sum(greatest(
    s.seq - coalesce((o.positions #>> ARRAY[t.name, '1', e.name])::bigint, 0), 0)), 0)::bigint AS events
FROM stream.ownership o
CROSS JOIN LATERAL jsonb_object_keys(o.positions) AS read(topic)
JOIN stream.topics t ON t.name = read.topic
LEFT JOIN stream.sequences s ON s.topic_id = t.topic_id AND s.partition = o.number
LEFT JOIN stream.emitters e USING (emitter_id)
WHERE o.kind = 'partition' GROUP BY o.service"""

_OFFSETS = """SELECT number, coalesce((positions #>> ARRAY[$2, '0'])::bigint, 0)
FROM stream.ownership WHERE kind = 'partition' AND service = $1"""

# Of what the lists and reports of the api have not looked at yet.
_UNLISTED = """SELECT coalesce(sum(greatest(p.end - coalesce(l.next, p.first), 0)), 0)::bigint
FROM stream.published_places AS p LEFT JOIN api.list_places AS l USING (place, number, partition)"""

_VACUUMS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'"


async def unread(connection: Any) -> dict[str, int]:
    """Events not read yet, by service."""
    return {row["service"]: row["events"] for row in await connection.fetch(_UNREAD)}


async def read_offsets(connection: Any, service: str, topic: str) -> dict[int, int]:
    """The next offset that a service will read, by partition."""
    return dict(await connection.fetch(_OFFSETS, service, topic))


async def until_read(connection: Any, services: frozenset[str] | None, patience_seconds: float) -> float:
    """The time (monotonic) at which these services, or all, have read everything. Raises Broken past the patience."""
    deadline = time.monotonic() + patience_seconds
    while True:
        left = {
            name: events for name, events in (await unread(connection)).items() if services is None or name in services
        }
        now = time.monotonic()
        if left and not any(left.values()):
            return now
        if now > deadline:
            raise Broken(f"not read within {patience_seconds:.0f} s: {left}")
        await asyncio.sleep(POLL_SECONDS)


async def until_quiet(connection: Any) -> None:
    """Waits (not for ever) until Postgres doesn't clean up after what was measured before."""
    deadline = time.monotonic() + _QUIET_SECONDS_MAX
    while time.monotonic() < deadline:
        if not await connection.fetchval(_VACUUMS):
            return
        await asyncio.sleep(0.2)


async def until_at_rest(connection: Any, look_at_a_list: Callable[[], Awaitable[Any]], patience_seconds: float) -> None:
    """As a house stands that was busy a while ago: all is read, lists and reports have followed (which they do at once
    for those who look), and Postgres has done what it does by itself within the next quarter of an hour: statistics of
    the new rows, and a checkpoint."""
    deadline = time.monotonic() + patience_seconds
    await until_read(connection, None, patience_seconds)
    while unlisted := await connection.fetchval(_UNLISTED):
        if time.monotonic() > deadline:
            raise Broken(f"lists have not followed within {patience_seconds:.0f} s: {unlisted} events")
        await look_at_a_list()
    await connection.execute("ANALYZE")
    await connection.execute("CHECKPOINT")
    await until_quiet(connection)
