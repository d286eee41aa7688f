"""sla_monitor on partition 0 of a real database, without a runner: the test decides what happens when."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import msgspec
from builders import lead_in
from prometheus_client import CollectorRegistry
from sla_builders import ACCORD_TEXT, NAMES

from services.api.main import bootstrap_accord
from services.sla_monitor.handler import LifecycleHandler, NextDue
from services.sla_monitor.metrics import Metrics
from services.sla_monitor.settings import Settings
from services.sla_monitor.store import clocks as store
from services.sla_monitor.store import promises
from services.sla_monitor.sweeper.clocks import SERVICE, Sweeper
from shared.db.accord_book import AccordBook
from shared.events import codec
from shared.events.base import Payload
from shared.events.envelope import Record
from shared.events.sales import SalesAction
from shared.events.topics import LIFECYCLE, SALES, SLA, TOPICS
from shared.stream.carrier import Claim, Slot
from shared.stream.handover import Handover
from shared.stream.log import PostgresCarrier
from shared.stream.setup import initialise

LEAD = lead_in(0)
SLOT = Slot(SERVICE, "partition", 0)
EMITTER = "api/0"


@dataclass
class Desk:
    """The handler and the sweeper with one claim between them."""

    pool: asyncpg.Pool
    carrier: PostgresCarrier
    claim: Claim
    handler: LifecycleHandler
    sweeper: Sweeper
    metrics: Metrics
    next_due: NextDue
    records: list[Record] = field(default_factory=list)

    def record(self, payload: Payload, *, received: datetime | None = None, cause: UUID | None = None) -> Record:
        number = len(self.records)
        at: datetime = payload.occurred_at  # type: ignore[attr-defined]
        id = uuid5(NAMES, f"event {number}")
        event = codec.event(payload, id=id, time=at, received_at=received or at, accord=1, cause=cause)
        self.records.append(Record(LIFECYCLE, 0, number, "stages/0", number + 1, event))
        return self.records[-1]

    async def handle(self, *records: Record) -> None:
        async with self.claim.step(self.claim.positions, self.claim.breaker) as transaction:
            await transaction.emit(await self.handler.handle(transaction, records))

    async def tick(self, now: datetime, claim: Claim | None = None) -> None:
        claim = claim or self.claim
        async with claim.step(claim.positions, claim.breaker) as transaction:
            await transaction.emit(await self.sweeper.tick(transaction, now))

    async def announced(self) -> list[str]:
        rows = await self.pool.fetch(
            "SELECT type FROM stream.log JOIN stream.topics USING (topic_id) WHERE name = $1 ORDER BY log_offset", SLA
        )
        return [row["type"].removeprefix("accord.clock.") for row in rows]

    async def sweep(self, at: datetime) -> bool:
        """A sweep if anything is due and the line allows it."""
        if await self.sweeper.seconds_to_next(at) != 0:
            return False
        await self.tick(at)
        return True

    async def sent(self) -> list[SalesAction]:
        """What was sent back to sales."""
        of_sales = "JOIN stream.topics USING (topic_id) WHERE name = $1 ORDER BY log_offset"
        rows = await self.pool.fetch(f"SELECT value FROM stream.log {of_sales}", SALES)
        return [msgspec.json.decode(row["value"], type=SalesAction) for row in rows]

    async def read_by_stages(self) -> None:
        """As if stages had read all of sales, and this service all of lifecycle."""
        for service, topic in (("stages", SALES), (SERVICE, LIFECYCLE)):
            for emitter, number in (await self.carrier.end(topic, 0)).items():
                await move_position(self.pool, service, topic, number, emitter)

    async def state(self) -> str:
        state: str = await self.pool.fetchval("SELECT state FROM sla.published_clocks WHERE lead_id = $1", LEAD)
        return state


async def open_desk(pool: asyncpg.Pool, database_url: str, **settings: Any) -> Desk:
    async with pool.acquire() as connection:
        await bootstrap_accord(connection, ACCORD_TEXT)
        _, names = await initialise(connection, topics=TOPICS, partitions=4, default=4)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(database_url)

    carrier = PostgresCarrier(pool=pool, connect=connect, partitions=4, names=names, handover=Handover())
    accords, next_due, metrics = AccordBook(), NextDue(), Metrics(CollectorRegistry())
    sweeper = Sweeper(
        partition=0,
        line=carrier,
        pool=pool,
        accords=accords,
        next_due=next_due,
        metrics=metrics,
        settings=Settings(**settings),
    )
    handler = LifecycleHandler(
        partition=0, store=store, promises=promises, accords=accords, next_due=next_due, metrics=metrics
    )
    claim = await carrier.claim(SLOT, (LIFECYCLE,))
    return Desk(pool, carrier, claim, handler, sweeper, metrics, next_due)


async def move_end(pool: asyncpg.Pool, topic: str, end: int) -> None:
    """As if EMITTER had put so many events on partition 0 of the topic."""
    await pool.execute("INSERT INTO stream.emitters (name) VALUES ($1) ON CONFLICT DO NOTHING", EMITTER)
    await pool.execute(
        """INSERT INTO stream.sequences (emitter_id, topic_id, partition, seq)
        SELECT emitter_id, topic_id, 0, $3::bigint FROM stream.emitters e, stream.topics t
        WHERE e.name = $1 AND t.name = $2
        ON CONFLICT (emitter_id, topic_id, partition) DO UPDATE SET seq = EXCLUDED.seq""",
        EMITTER,
        topic,
        end,
    )


async def move_position(pool: asyncpg.Pool, service: str, topic: str, number: int, emitter: str = EMITTER) -> None:
    """As if the service had read partition 0 of the topic up to this number of the emitter."""
    await pool.execute(
        """INSERT INTO stream.ownership (service, kind, number, positions)
        VALUES ($1, 'partition', 0, jsonb_build_object($2::text,
            jsonb_build_array($3::bigint, jsonb_build_object($4::text, $3::bigint))))
        ON CONFLICT (service, kind, number) DO UPDATE SET positions = EXCLUDED.positions""",
        service,
        topic,
        number,
        emitter,
    )
