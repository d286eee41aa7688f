"""A rescore of N leads with M activities, in this process on a real Postgres: its rate, and what live events feel."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from prometheus_client import CollectorRegistry

from benchmarks.numbers import summary_ms
from benchmarks.scoring_core import history, lead_id
from services.api.main import bootstrap_accord
from services.scoring.handler import Desk, Scoring, ScoringHandler
from services.scoring.metrics import Metrics
from services.scoring.store import PostgresStore, RescoreStore
from services.scoring.sweeper import Rescorer, Turns, Versions
from shared.agreement.loading import default_accord_text, load_accord
from shared.clock import SystemClock, new_id
from shared.db.accord_book import AccordBook
from shared.db.connections import create_pool
from shared.db.statement import write_all
from shared.events.activity import Activity
from shared.events.codec import event as make_event
from shared.events.envelope import Outgoing, Record
from shared.events.topics import ACTIVITY, READERS, TOPICS, partition_of
from shared.stream.carrier import Slot, Transaction
from shared.stream.handover import Handover
from shared.stream.log import PostgresCarrier
from shared.stream.metrics import Metrics as StreamMetrics
from shared.stream.runner import Runner
from shared.stream.setup import initialise, register_readers

PARTITIONS = 4
LEADS_PER_STATEMENT = 100
PUT_AT_ONCE = 1_000
LIVE_PER_SECOND = 50
QUIET_SECONDS = 4
_SIGNED = """INSERT INTO api.accords (version, document, source_text, sha256, effective_at, state)
VALUES (2, $1, '', ''::bytea, $2, 'scheduled')"""


@dataclass
class Live:
    """Posts of single events, and when each one's step was committed."""

    posted: dict[UUID, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


class Timed:
    """A handler that notes how long each event waited."""

    def __init__(self, handler: ScoringHandler, live: Live) -> None:
        self._handler = handler
        self._live = live

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        def note() -> None:
            now = time.perf_counter()
            posted = self._live.posted
            self._live.seconds += [now - posted.pop(each.event.id) for each in records if each.event.id in posted]

        outgoing = await self._handler.handle(transaction, records)
        transaction.on_commit(note)
        return outgoing


class Stand:
    """Scoring with its tables full of leads."""

    def __init__(self, pool: asyncpg.Pool, carrier: PostgresCarrier) -> None:
        self.pool = pool
        self.live = Live()
        self._carrier = carrier
        self._accords, self._turns = AccordBook(), Turns()
        self._metrics = Metrics(CollectorRegistry())

    async def fill(self, leads: int, activities: int) -> None:
        """Every lead with its history, states and ledger, as steps would have left them; not timed."""
        accords, store = await self._accords.refresh(self.pool), PostgresStore()
        for first in range(0, leads, LEADS_PER_STATEMENT):
            by_partition: dict[int, Scoring] = {}
            for number in range(first, min(first + LEADS_PER_STATEMENT, leads)):
                partition = partition_of(lead_id(number), PARTITIONS)
                scoring = by_partition.setdefault(partition, Scoring(accords, {}, {}))
                for item in history(number, activities):
                    scoring.take(_event(item), item)
            async with self.pool.acquire() as connection:
                for partition, scoring in by_partition.items():
                    writes, _ = store.save(scoring.batch, partition)
                    await write_all(connection, writes)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All partitions at work."""
        runners = [self._runner(partition) for partition in range(PARTITIONS)]
        tasks = [asyncio.create_task(runner.run()) for runner in runners]
        try:
            yield
        finally:
            for runner in runners:
                runner.stop()
            await asyncio.gather(*tasks)

    def _runner(self, partition: int) -> Runner:
        store, progress, desk = PostgresStore(), RescoreStore(), Desk(partition)
        handler = ScoringHandler(self._accords, store, progress, metrics=self._metrics, desk=desk)
        rescorer = Rescorer(
            desk=desk,
            turns=self._turns,
            clock=SystemClock(),
            versions=Versions(self._accords, self.pool),
            accords=self._accords,
            store=store,
            progress=progress,
            pool=self.pool,
            metrics=self._metrics,
        )
        return Runner(
            carrier=self._carrier,
            slot=Slot("scoring", "partition", partition),
            topics=(ACTIVITY,),
            handler=Timed(handler, self.live),
            clock=SystemClock(),
            metrics=StreamMetrics(CollectorRegistry()),
            release="benchmark",
            ticker=rescorer,
            at_once=True,
        )

    async def post_live(self, leads: int) -> None:
        """Single events at a fixed rate, until cancelled."""
        lane, due, n = await self._carrier.claim_lane("ingest"), time.perf_counter(), 0
        while True:
            due += 1 / LIVE_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            now, n = SystemClock().now(), n + 1
            item = history(n * 7919 % leads, 1, seed=1)[0]
            event = _event(item)._replace(id=new_id(), received_at=now)
            self.live.posted[event.id] = due
            async with lane.step(lane.positions, lane.breaker, at_once=True) as transaction:
                await transaction.put([Outgoing(ACTIVITY, event)])

    async def put(self, items: Sequence[Activity]) -> None:
        """All of these on the log."""
        lane = await self._carrier.claim_lane("ingest")
        for first in range(0, len(items), PUT_AT_ONCE):
            events = [_event(item) for item in items[first : first + PUT_AT_ONCE]]
            async with lane.step(lane.positions, lane.breaker, at_once=True) as transaction:
                await transaction.put([Outgoing(ACTIVITY, event) for event in events])
        await lane.release()

    async def rescored(self) -> int:
        return int(await self.pool.fetchval("SELECT coalesce(sum(done), 0) FROM scoring.rescores"))


@asynccontextmanager
async def standing(database_url: str) -> AsyncIterator[Stand]:
    """Scoring in a migrated, empty database, with the packaged accord in effect."""
    pool = await create_pool(database_url, application_name="accord-bench")
    async with pool.acquire() as connection:
        await bootstrap_accord(connection, default_accord_text())
        _, names = await initialise(connection, topics=TOPICS, partitions=PARTITIONS, default=PARTITIONS)
        await register_readers(connection, READERS, PARTITIONS)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(database_url)

    yield Stand(
        pool, PostgresCarrier(pool=pool, connect=connect, partitions=PARTITIONS, names=names, handover=Handover())
    )
    await pool.close()


async def measure_rescore(database_url: str, leads: int, activities: int) -> dict[str, Any]:
    """In a migrated, empty database."""
    async with standing(database_url) as stand:
        return await _rescore(stand, leads, activities)


async def _rescore(stand: Stand, leads: int, activities: int) -> dict[str, Any]:
    await stand.fill(leads, activities)
    await stand.pool.execute("VACUUM ANALYZE scoring.history, scoring.leads, scoring.grants")
    async with stand.running():
        posting = asyncio.create_task(stand.post_live(leads))
        await asyncio.sleep(QUIET_SECONDS)
        before, stand.live.seconds = stand.live.seconds, []
        began = await _until_rescored(stand, leads)
        seconds = time.perf_counter() - began
        during = stand.live.seconds
        posting.cancel()
        await asyncio.gather(posting, return_exceptions=True)
    return {
        "leads": leads,
        "activities": leads * activities,
        "seconds": seconds,
        "leads_per_second": leads / seconds,
        "activities_per_second": leads * activities / seconds,
        "live_before": summary_ms(before),
        "live_during": summary_ms(during),
    }


async def _until_rescored(stand: Stand, leads: int) -> float:
    """Signs a version that is in effect at once, and returns when the rescore began."""
    document = json.loads(json.dumps(load_accord(default_accord_text()).as_written()))
    for rule in document["scoring"]["engagement"]["rules"]:
        rule["points"] += 1
    await stand.pool.execute(_SIGNED, json.dumps(document), _now())
    began = time.perf_counter()
    while await stand.rescored() < leads:
        await asyncio.sleep(0.05)
    return began


def _now() -> datetime:
    return SystemClock().now() + timedelta(milliseconds=1)


def _event(item: Activity) -> Any:
    return make_event(item, id=item.id, time=item.occurred_at, received_at=item.received_at)
