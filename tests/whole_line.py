"""The real scoring, stages and sla_monitor on a real log in Postgres, each behind its runner, on a clock that the test
moves. Nothing runs by itself: a runner stands still where it would wait until it is let go, and can be made to fail in
the middle of a step, be killed, or be overtaken by a successor without knowing it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
from line_builders import record_of
from prometheus_client import CollectorRegistry

from services.api.main import bootstrap_accord
from services.scoring import main as scoring
from services.sla_monitor import main as sla_monitor
from services.stages import main as stages
from shared.clock import ManualClock
from shared.db.accord_book import AccordBook
from shared.db.connections import create_pool
from shared.errors import Surroundings
from shared.events.base import Payload
from shared.events.envelope import Event, Outgoing, Record
from shared.events.topics import ACTIVITY, READERS, SALES, TOPICS
from shared.lifecycle import Resources, Service
from shared.stream.carrier import Claim, Slot, Transaction
from shared.stream.handler import Handler
from shared.stream.handover import Handover
from shared.stream.log import PostgresCarrier
from shared.stream.log_claim import PostgresClaim
from shared.stream.metrics import Metrics
from shared.stream.runner import Runner
from shared.stream.setup import initialise, register_readers

SERVICES: Final = ("scoring", "stages", "sla-monitor")
WIRES: Final = dict(zip(SERVICES, (scoring.wire, stages.wire, sla_monitor.wire), strict=True))
# One turn takes what is there, one what a refused step left, one what a second look at the line allows.
TURNS: Final = 3
TURN_SECONDS_MAX: Final = 20

_LOG = """SELECT l.event_id, l.type, l.key, l.occurred_at, l.received_at, l.value, l.accord, l.cause
FROM stream.log l JOIN stream.topics t USING (topic_id) WHERE t.name = $1 ORDER BY l.log_offset"""


class Still:
    """The carrier as one runner sees it: where it would wait, it stands still until it is let go."""

    def __init__(self, carrier: PostgresCarrier) -> None:
        self._carrier = carrier
        self._claims: list[PostgresClaim] = []
        self.stands = asyncio.Event()
        self.go = asyncio.Event()

    async def claim(self, slot: Slot, topics: Sequence[str] = ()) -> Claim:
        claim = await self._carrier.claim(slot, topics)
        self._claims.append(claim)
        return claim

    async def wait(self, slot: Slot, topics: Sequence[str], timeout_seconds: float) -> None:
        self.stands.set()
        await self.go.wait()
        self.go.clear()

    def wake(self, slot: Slot) -> None:
        self.go.set()

    def cut(self) -> None:
        """What kill -9 and a network do to the connections."""
        for claim in self._claims:
            if claim._connection is not None:
                claim._connection.terminate()


class Breaking:
    """A handler of the house that can be told to fail once, when all was decided and nothing committed."""

    def __init__(self, handler: Handler, still: Still) -> None:
        self._handler = handler
        self._still = still
        self.breaks: str | None = None

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        outgoing = await self._handler.handle(transaction, records)
        how, self.breaks = self.breaks, None
        if how == "fails":
            raise Surroundings("the machine is unwell")
        if how == "loses its connection":
            self._still.cut()
        return outgoing


class Worker:
    """One runner of one service on partition 0."""

    def __init__(self, house: "WholeLine", name: str, batch_events_max: int) -> None:
        self.still = Still(house.carrier)
        service: Service = WIRES[name](house.resources)
        assert service.handler is not None
        self.handler = Breaking(service.handler(0), self.still)
        self.runner = Runner(
            carrier=self.still,  # type: ignore[arg-type]  # what a runner asks of a carrier
            slot=Slot(name, "partition", 0),
            topics=READERS[name],
            handler=self.handler,
            clock=house.clock,
            metrics=house.resources.stream_metrics,
            release="1",
            ticker=service.ticker(0) if service.ticker is not None else None,
            batch_events_max=batch_events_max,
            at_once=service.at_once,
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def has_ended(self) -> bool:
        return self._task is not None and self._task.done()

    async def work(self) -> None:
        """Until it would wait, a few times: all that is there is read, and all that is due is done."""
        for _ in range(TURNS):
            self.still.stands.clear()
            if self._task is None:
                self._task = asyncio.create_task(self.runner.run())
            else:
                self.still.go.set()
            stands = asyncio.create_task(self.still.stands.wait())
            await asyncio.wait({stands, self._task}, timeout=TURN_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
            assert stands.done() or self._task.done(), f"{self.runner.slot} neither waits nor ends"
            stands.cancel()
            if self._task.done():
                self._task.result()
                return

    async def kill(self) -> None:
        """It ends where it stands, and gives nothing back."""
        self.still.cut()
        await self.end()

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task


@dataclass
class WholeLine:
    """The log and the workers of one partition; `post` is what ingest does."""

    url: str
    pool: asyncpg.Pool
    carrier: PostgresCarrier
    clock: ManualClock
    workers: dict[str, Worker] = field(default_factory=dict)
    zombies: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        registry = CollectorRegistry()
        self.resources = Resources(
            pool=self.pool,
            engine=None,  # type: ignore[arg-type]  # the api's
            carrier=self.carrier,
            accords=AccordBook(),
            registry=registry,
            stream_metrics=Metrics(registry),
            clock=self.clock,
            public_url="",
        )

    async def work(self, name: str) -> None:
        """The present worker of a service. One that lost its partition is followed by another, as in a crew."""
        await self.workers[name].work()
        if self.workers[name].has_ended:
            await self.employ(name).work()

    def employ(self, name: str, batch_events_max: int = 500) -> Worker:
        """A worker in place of the present one, as another process would start it."""
        self.resources = _fresh(self.resources)
        self.workers[name] = Worker(self, name, batch_events_max)
        return self.workers[name]

    def overtake(self, name: str, batch_events_max: int = 500) -> Worker:
        """A successor; the present worker doesn't know of it, and will try to go on."""
        self.zombies.append(self.workers[name])
        return self.employ(name, batch_events_max)

    async def post(self, *payloads: Payload) -> None:
        """On its topic, in one commit of a lane."""
        lane = await self.carrier.claim_lane("ingest")
        async with lane.step(lane.positions, lane.breaker) as transaction:
            await transaction.emit([Outgoing(_topic(payload), record_of(payload).event) for payload in payloads])
        await lane.release()

    async def told(self, topic: str) -> list[Event]:
        return [Event(*row) for row in await self.pool.fetch(_LOG, topic)]

    async def is_due(self, now: datetime) -> bool:
        """Whether a clock has something to announce or to carry out."""
        due: bool = await self.pool.fetchval(
            "SELECT EXISTS (SELECT FROM sla.clocks WHERE next_due_at <= $1 OR then_due_at <= $1)", now
        )
        return due

    async def is_read(self) -> bool:
        return await self.carrier.have_read_all({"scoring": ACTIVITY}, 0) and all(
            [await self.carrier.have_read_all({name: topic}, 0) for name in SERVICES[1:] for topic in READERS[name]]
        )

    async def history(self, schema: str, lead_id: UUID) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self.pool.fetch(
            f"SELECT * FROM {schema}.history WHERE lead_id = $1 ORDER BY number", lead_id
        )
        return rows

    async def close(self) -> None:
        for worker in (*self.workers.values(), *self.zombies):
            await worker.kill()


def _fresh(resources: Resources) -> Resources:
    """Metrics of one process can be registered once; what else a process holds is new too."""
    registry = CollectorRegistry()
    return Resources(
        **(vars(resources) | {"accords": AccordBook(), "registry": registry, "stream_metrics": Metrics(registry)})
    )


def _topic(payload: Payload) -> str:
    return SALES if payload.TYPE == "accord.sales.action" else ACTIVITY


@asynccontextmanager
async def whole_line(url: str, accord: str, start: datetime) -> AsyncIterator[WholeLine]:
    """On a migrated database without rows."""
    pool = await create_pool(url, application_name="accord-test", max_size=4)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(url)

    try:
        async with pool.acquire() as connection:
            await bootstrap_accord(connection, accord)
            _, names = await initialise(connection, topics=TOPICS, partitions=1, default=1)
            await register_readers(connection, READERS, 1)
        carrier = PostgresCarrier(pool=pool, connect=connect, partitions=1, names=names, handover=Handover())
        house = WholeLine(url, pool, carrier, ManualClock(start))
        for name in SERVICES:
            house.employ(name)
        try:
            yield house
        finally:
            await house.close()
    finally:
        pool.terminate()
