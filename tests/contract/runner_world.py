"""A service as small as can be, to see what the runner does with it: it saves the name of each event it applied."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid5

from builders import NOON, an_event, eventually
from contract.worlds import World, emit, names
from patience import within
from prometheus_client import CollectorRegistry

from shared.clock import ManualClock
from shared.events.envelope import Outgoing, Record
from shared.events.topics import ACTIVITY, SCORE
from shared.stream.carrier import Slot, Transaction
from shared.stream.handler import Ticker
from shared.stream.metrics import Metrics
from shared.stream.runner import Runner

SLOT = Slot("scoring", "partition", 0)


class Gate:
    """Holds whoever passes until it is opened, once it was closed: a pause of the process at that very place."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def passed(self) -> None:
        if not self._open.is_set():
            self.reached.set()
            await self._open.wait()


@dataclass
class NameKeeper:
    """A handler. `fail` may raise for the names of a batch; `gate` pauses it in mid-step, after it has saved."""

    world: World
    fail: Callable[[list[str]], None] = lambda batch: None
    batches: list[list[str]] = field(default_factory=list)
    gate: Gate = field(default_factory=Gate)

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        self.batches.append(names(records))
        self.fail(names(records))
        outgoing = []
        for record in records:
            name = record.event.value.decode()
            await self.world.save(transaction, name, record.event.received_at.isoformat())
            score = an_event(f"score of {name}", received_at=record.event.received_at)
            outgoing.append(Outgoing(SCORE, score._replace(key=record.event.key, cause=record.event.id)))
        await self.gate.passed()
        return outgoing


@dataclass
class TickKeeper:
    """A ticker that is due as often as it is told. `before` pauses it before its step, `gate` in mid-step."""

    world: World
    due: int = 0
    before: Gate = field(default_factory=Gate)
    gate: Gate = field(default_factory=Gate)

    async def seconds_to_next(self, now: datetime) -> float | None:
        await self.before.passed()
        return 0 if self.due else None

    async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
        await self.world.save(transaction, "tick", now.isoformat())
        await self.gate.passed()
        self.due -= 1
        return [Outgoing(SCORE, an_event("by a tick")._replace(id=uuid5(an_event("tick").id, str(self.due))))]


@dataclass
class Service:
    """One runner with its handler and its metrics."""

    runner: Runner
    handler: NameKeeper
    registry: CollectorRegistry

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, {"service": "scoring", **labels}) or 0.0


def a_service(
    world: World,
    *,
    handler: NameKeeper | None = None,
    ticker: Ticker | None = None,
    topics: Sequence[str] = (ACTIVITY,),
    release: str = "1",
    limit: int = 500,
) -> Service:
    handler = handler or NameKeeper(world)
    registry = CollectorRegistry()
    runner = Runner(
        carrier=world.carrier,
        slot=SLOT,
        topics=topics,
        handler=handler,
        ticker=ticker,
        clock=ManualClock(NOON),
        metrics=Metrics(registry),
        release=release,
        batch_events_max=limit,
    )
    return Service(runner, handler, registry)


@asynccontextmanager
async def running(*services: Service) -> AsyncIterator[None]:
    """The services run meanwhile; then they are stopped, and must end in time. What they raise is raised here."""
    tasks = [asyncio.create_task(service.runner.run()) for service in services]
    try:
        yield
        for service in services:
            service.runner.stop()
        async with within(10):
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def post(world: World, *event_names: str, topic: str = ACTIVITY) -> None:
    """Puts events of these names on the service's partition in one commit of a lane."""
    lane = await world.carrier.claim_lane("ingest")
    await emit(lane, *(an_event(name) for name in event_names), topic=topic)
    await lane.release()


async def kept(world: World) -> list[str]:
    """The names saved, in order."""
    return [name for name, _ in await world.saved()]


async def keeps(world: World, expected: Sequence[str]) -> None:
    """Returns once exactly these names are saved, in this order."""

    async def as_expected() -> bool:
        return len(await kept(world)) >= len(expected)

    await eventually(as_expected)
    assert await kept(world) == list(expected)
