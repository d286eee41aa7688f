"""A clock's breach is told after the change of stage that it was decided at, whichever comes to delivery first."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid5

import asyncpg
import pytest
from builders import eventually
from contract.worlds import emit
from delivery_builders import Desk, Receiver, clock_event, desks, listening
from prometheus_client import CollectorRegistry
from sla_builders import NAMES

from services.delivery.handler import EventHandler
from services.delivery.store import events
from services.delivery.store.subscriptions import SubscriptionBook
from shared.events import codec
from shared.events.envelope import Event
from shared.events.lifecycle import StageChanged
from shared.events.sla import ClockBreached
from shared.events.topics import LIFECYCLE, READERS, SLA, TOPICS
from shared.stream import runner as runners
from shared.stream.carrier import Slot
from shared.stream.handover import Handover
from shared.stream.log import PostgresCarrier
from shared.stream.metrics import Metrics
from shared.stream.setup import initialise, register_readers


@pytest.fixture
async def desk(pool: asyncpg.Pool) -> AsyncIterator[Desk]:
    async with desks(pool) as open_desk:
        yield await open_desk()


@pytest.fixture
async def line(database_url: str, pool: asyncpg.Pool) -> PostgresCarrier:
    async with pool.acquire() as connection:
        _, names = await initialise(connection, topics=TOPICS, partitions=1, default=1)
        await register_readers(connection, READERS, 1)
    return PostgresCarrier(
        pool=pool,
        connect=lambda: asyncpg.connect(database_url),
        partitions=1,
        names=names,
        handover=Handover(),
    )


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening(Receiver()) as receiver:
        yield receiver


async def test_a_receiver_gets_no_breach_before_the_change_of_stage_that_it_was_decided_at(
    desk: Desk, line: PostgresCarrier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "PATIENCE_SECONDS", 3_600)  # a busy machine is not what is looked at
    await desk.subscribe(receiver.url)
    await desk.sends()
    stages = await line.claim(Slot("stages", "partition", 0))
    clocks = await line.claim(Slot("sla-monitor", "partition", 0))
    runner = _delivery(desk, line)
    await emit(clocks, _breach(desk, after=2), topic=SLA)
    await emit(stages, _stage(desk, "first"), topic=LIFECYCLE)
    running = asyncio.create_task(runner.run())
    try:
        # It has read both topics, and holds the breach back: its stage is not there yet.
        await _until_told(desk, receiver, ["first"])
        assert await desk.pool.fetchval("SELECT array_agg(type) FROM delivery.events") == [StageChanged.TYPE]
        await emit(stages, _stage(desk, "second"), topic=LIFECYCLE)
        await _until_told(desk, receiver, ["first", "second", ClockBreached.TYPE])
    finally:
        runner.stop()
        await running
        await stages.release()
        await clocks.release()


def _delivery(desk: Desk, line: PostgresCarrier) -> runners.Runner:
    return runners.Runner(
        carrier=line,
        slot=Slot("delivery", "partition", 0),
        topics=READERS["delivery"],
        handler=EventHandler(store=events, subscriptions=SubscriptionBook(), nudge=desk.nudge),
        clock=desk.clock,
        metrics=Metrics(CollectorRegistry()),
        release="1",
        at_once=True,
    )


def _stage(desk: Desk, reason: str) -> Event:
    return desk.record(reason).event


def _breach(desk: Desk, *, after: int) -> Event:
    at = desk.clock.now()
    payload = clock_event(ClockBreached, at)
    return codec.event(payload, id=uuid5(NAMES, "breach"), time=at, received_at=at, accord=1, after=after)


async def _until_told(desk: Desk, receiver: Receiver, expected: list[str]) -> None:
    """One look of the sender after the other; a lead's next delivery goes once the one before is recorded."""

    async def are_told() -> bool:
        await desk.sends()
        return len(receiver.received) >= len(expected)

    await eventually(are_told, within=20)
    assert [got.event["data"].get("reason") or got.event["type"] for got in receiver.received] == expected
