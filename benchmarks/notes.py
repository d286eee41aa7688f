"""A process that puts sales notes on the log as the api does: `python -m benchmarks.notes COUNT PER_SECOND` (0: as fast
as the log takes them). ACCORD_DATABASE_URL says where; the log is the one in Postgres."""

import asyncio
import os
import sys
import time
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_URL

import asyncpg
import uvloop

from services.carriers import DEFAULT_PARTITIONS
from shared.clock import SystemClock
from shared.events.codec import event as make_event
from shared.events.envelope import Event, Outgoing, named_id
from shared.events.sales import Action, SalesAction
from shared.events.topics import SALES, TOPICS
from shared.stream.handover import Handover
from shared.stream.log import PostgresCarrier
from shared.stream.setup import initialise

LEADS: Final = 2_000
AT_ONCE: Final = 500
PAUSE_SECONDS: Final = 0.02


async def put(database_url: str, count: int, per_second: float) -> None:
    """In commits of at most 500, or of what is due every 20 ms."""
    pool: Any = await asyncpg.create_pool(database_url, min_size=1, max_size=2)

    async def connect() -> Any:
        return await asyncpg.connect(database_url)

    async with pool.acquire() as connection:
        partitions, names = await initialise(connection, topics=TOPICS, partitions=None, default=DEFAULT_PARTITIONS)
    carrier = PostgresCarrier(pool=pool, connect=connect, partitions=partitions, names=names, handover=Handover())
    lane = await carrier.claim_lane("api")
    began, done = time.monotonic(), 0
    while done < count:
        due = count if not per_second else min(count, int((time.monotonic() - began) * per_second))
        notes = range(done, min(due, done + AT_ONCE))
        if notes:
            now = SystemClock().now()
            async with lane.step(lane.positions, lane.breaker) as transaction:
                await transaction.emit([Outgoing(SALES, _note(f"{began}/{number}", number, now)) for number in notes])
            done = notes.stop
        if per_second:
            await asyncio.sleep(PAUSE_SECONDS)
    await lane.release()
    await pool.close()


def _note(name: str, number: int, now: datetime) -> Event:
    lead_id = named_id(NAMESPACE_URL, f"noted/{number % LEADS}")
    action = SalesAction(
        lead_id=lead_id,
        id=named_id(NAMESPACE_URL, name),
        action=Action.NOTE,
        occurred_at=now,
        received_at=now,
        source="crm",
        actor="bench",
        identifiers={"email": f"noted.{number % LEADS}@example.com"},
        note="called, no answer",
    )
    return make_event(action, id=action.id, time=now, received_at=now)


if __name__ == "__main__":
    uvloop.run(put(os.environ["ACCORD_DATABASE_URL"], int(sys.argv[1]), float(sys.argv[2])))
