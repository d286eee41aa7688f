"""Records handed over within a process are exactly those that the log holds, whatever goes wrong on the way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid5

import asyncpg
import pytest
from builders import NAMES, NOON, an_event, lead_in
from contract.worlds import PARTITIONS, PostgresWorld, all_on, emit, names
from patience import within

from shared.events.envelope import Event, Outgoing, Record
from shared.events.topics import SALES, SCORE, TOPICS
from shared.stream import log_claim
from shared.stream.carrier import Claim, Slot
from shared.stream.handover import Handover
from shared.stream.log import PostgresCarrier
from shared.stream.positions import admit, advance
from shared.stream.setup import initialise

SLOT = Slot("stages", "partition", 0)
READS = (SCORE, SALES)
MakeCarrier = Callable[..., Awaitable[PostgresCarrier]]


class Broken(Exception):
    """What a step raises in these tests."""


@pytest.fixture
async def world(database_url: str, pool: Any) -> AsyncIterator[PostgresWorld]:
    world = await PostgresWorld.open(database_url, pool)
    yield world
    world.close()


@pytest.fixture
async def another_carrier(world: PostgresWorld, database_url: str) -> AsyncIterator[MakeCarrier]:
    """Makes a carrier on the same database as another process has it: with a handover of its own."""
    connections: list[Any] = []

    async def connect() -> Any:
        connections.append(await asyncpg.connect(database_url))
        return connections[-1]

    async def make(handover: Handover | None = None) -> PostgresCarrier:
        async with world.pool.acquire() as connection:
            partitions, ids = await initialise(connection, topics=TOPICS, partitions=None, default=PARTITIONS)
        return PostgresCarrier(
            pool=world.pool, connect=connect, partitions=partitions, names=ids, handover=handover or Handover()
        )

    yield make
    for connection in connections:
        connection.terminate()


@pytest.fixture
def handed_over_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a claim's first fetch the log is looked at only if nothing that follows was handed over."""
    monkeypatch.setattr(log_claim, "LOOK_SECONDS", 3_600.0)


async def a_reader(carrier: PostgresCarrier) -> Claim:
    """One that is known to the handover, and has just looked at the log."""
    await carrier.wait(SLOT, READS, 0)
    reader = await carrier.claim(SLOT, READS)
    await reader.fetch(READS, 1)
    return reader


async def read(reader: Claim, limit: int = 500) -> Sequence[Record]:
    """What a runner does with a fetch: admits it, and moves past it."""
    fetched = await reader.fetch(READS, limit)
    admission = admit(reader.positions, fetched)
    assert (admission.gap, admission.duplicates) == (None, 0)
    async with reader.step(advance(reader.positions, fetched), reader.breaker):
        pass
    return fetched


async def read_all(reader: Claim, count: int, limit: int = 500) -> list[Record]:
    found: list[Record] = []
    async with within(20):
        while len(found) < count:
            found += await read(reader, limit)
    return found


async def assert_is_what_the_log_holds(world: PostgresWorld, found: Sequence[Record]) -> None:
    for topic in READS:
        handed = [record for record in found if record.topic == topic]
        logged = await all_on(world, topic, SLOT.number)
        assert len(handed) == len(logged)
        for one, other in zip(handed, logged, strict=True):
            assert one._asdict() == other._asdict()
            assert one.event._asdict() == other.event._asdict()
            assert type(one.event.value) is type(other.event.value)


def a_full_event(name: str) -> Event:
    return an_event(name)._replace(
        key=lead_in(0, 3),
        time=NOON - timedelta(microseconds=1),
        received_at=NOON + timedelta(days=1),
        value=bytes(range(256)),
        accord=7,
        cause=uuid5(NAMES, "cause"),
        after=2**40,
        traceparent="00-ab-cd-01",
    )


def are_the_same(records: Sequence[Record], events: Sequence[Event]) -> bool:
    """Whether these very objects were handed over; what is read from the log is made anew."""
    return all(record.event is event for record, event in zip(records, events, strict=True))


@pytest.mark.usefixtures("handed_over_only")
async def test_what_is_handed_over_is_what_the_log_holds_field_by_field(world: PostgresWorld) -> None:
    reader = await a_reader(world.carrier)
    lane, step = await world.carrier.claim_lane("ingest"), await world.carrier.claim(Slot("scoring", "partition", 0))
    events = [an_event("plain"), a_full_event("full"), an_event("elsewhere", partition=1), a_full_event("again")]
    await emit(step, *events, topic=SCORE)
    await emit(lane, *events[:2], topic=SALES)
    await emit(step, an_event("more"), topic=SCORE)
    await emit(lane, an_event("said"), topic=SALES)
    found = await read_all(reader, 7)
    scores = [record.event for record in found if record.topic == SCORE]
    assert scores[0] is events[0]
    assert [event.value for event in scores] == [events[0].value, events[1].value, events[3].value, b"more"]
    await assert_is_what_the_log_holds(world, found)


@pytest.mark.usefixtures("handed_over_only")
async def test_what_was_handed_over_is_not_read_back_from_the_log(world: PostgresWorld) -> None:
    reader = await a_reader(world.carrier)
    events = [an_event(f"{n}") for n in range(5)]
    await emit(await world.carrier.claim(Slot("scoring", "partition", 0)), *events, topic=SCORE)
    await world.pool.execute("DELETE FROM stream.log")
    assert are_the_same(await read_all(reader, 5, limit=2), events)


async def test_concurrent_emitters_hand_over_what_the_log_holds(world: PostgresWorld) -> None:
    reader = await a_reader(world.carrier)
    emitters: list[Claim] = [await world.carrier.claim_lane("ingest") for _ in range(3)]
    emitters += [await world.carrier.claim(Slot("scoring", "partition", number)) for number in range(3)]

    async def emit_much(claim: Claim) -> None:
        for turn in range(15):
            events = [an_event(f"{claim.slot.kind} {claim.slot.emitter} {turn} {n}") for n in range(4)]
            outgoing = [Outgoing(READS[(turn + n) % 2], event) for n, event in enumerate(events)]
            try:
                async with claim.step(claim.positions, claim.breaker) as transaction:
                    await transaction.emit(outgoing)
                    if turn % 5 == 4:
                        raise Broken
            except Broken:
                await claim.reload()

    async with asyncio.TaskGroup() as tasks:
        for claim in emitters:
            tasks.create_task(emit_much(claim))
        reading = tasks.create_task(read_all(reader, 6 * 12 * 4, limit=7))
    await assert_is_what_the_log_holds(world, reading.result())


@pytest.mark.usefixtures("handed_over_only")
async def test_after_a_readers_step_rolled_back_it_is_handed_the_same_again(world: PostgresWorld) -> None:
    reader = await a_reader(world.carrier)
    step = await world.carrier.claim(Slot("scoring", "partition", 0))
    events = [an_event(f"{n}") for n in range(6)]
    await emit(step, *events[:4], topic=SCORE)
    fetched = await reader.fetch(READS, 3)
    with pytest.raises(Broken):
        async with reader.step(advance(reader.positions, fetched), reader.breaker):
            raise Broken
    await reader.reload()
    await emit(step, *events[4:], topic=SCORE)
    found = await read_all(reader, 6)
    assert are_the_same(found, events)
    await assert_is_what_the_log_holds(world, found)


@pytest.mark.usefixtures("handed_over_only")
async def test_a_reader_that_applies_less_than_it_took_of_one_topic_is_handed_the_rest(world: PostgresWorld) -> None:
    """As a runner does whose batch is full: no topic may overtake another while the log is looked at seldom."""
    reader = await a_reader(world.carrier)
    lane = await world.carrier.claim_lane("ingest")
    await emit(lane, *(an_event(f"score {n}") for n in range(4)), topic=SCORE)
    await emit(lane, *(an_event(f"sales {n}") for n in range(2)), topic=SALES)
    fetched = await reader.fetch(READS, 4)
    async with reader.step(advance(reader.positions, [*fetched[:2], *fetched[4:]]), reader.breaker):
        pass
    await emit(lane, an_event("sales 2"), topic=SALES)
    assert names(await read(reader)) == ["score 2", "score 3", "sales 2"]


@pytest.mark.usefixtures("handed_over_only")
async def test_what_another_process_put_between_is_read_from_the_log_and_nothing_twice(
    world: PostgresWorld, another_carrier: MakeCarrier
) -> None:
    reader = await a_reader(world.carrier)
    here = await world.carrier.claim(Slot("scoring", "partition", 0))
    there = await (await another_carrier()).claim(Slot("scoring", "partition", 1))
    for turn in range(3):
        await emit(here, *(an_event(f"here {turn} {n}") for n in range(3)), topic=SCORE)
        await emit(there, *(an_event(f"there {turn} {n}") for n in range(2)), topic=SCORE)
    last = an_event("here at last")
    found = await read_all(reader, 15, limit=4)
    await emit(here, last, topic=SCORE)
    found += await read_all(reader, 1)
    assert found[-1].event is last
    await assert_is_what_the_log_holds(world, found)


@pytest.mark.usefixtures("handed_over_only")
async def test_a_reader_with_a_backlog_past_the_bound_gets_it_from_the_log(
    world: PostgresWorld, another_carrier: MakeCarrier
) -> None:
    carrier = await another_carrier(Handover(records_max=5))
    reader = await a_reader(carrier)
    step = await carrier.claim(Slot("scoring", "partition", 0))
    for turn in range(4):
        await emit(step, *(an_event(f"{turn} {n}") for n in range(4)), topic=SCORE)
    await assert_is_what_the_log_holds(world, await read_all(reader, 16, limit=3))


@pytest.mark.usefixtures("handed_over_only")
async def test_a_successor_in_another_process_and_then_here_again_reads_each_record_once(
    world: PostgresWorld, another_carrier: MakeCarrier
) -> None:
    step = await world.carrier.claim(Slot("scoring", "partition", 0))
    found: list[Record] = []
    for turn, carrier in enumerate((world.carrier, await another_carrier(), world.carrier)):
        reader = await a_reader(carrier)
        await emit(step, *(an_event(f"{turn} {n}") for n in range(5)), topic=SCORE)
        found += await read_all(reader, 3, limit=3)
        await reader.release()
    found += await read_all(await a_reader(world.carrier), 15 - len(found))
    await assert_is_what_the_log_holds(world, found)


async def test_the_log_is_looked_at_in_time_although_records_are_handed_over(
    world: PostgresWorld, another_carrier: MakeCarrier
) -> None:
    now = asyncio.get_running_loop().time
    reader = await a_reader(world.carrier)
    here = await world.carrier.claim(Slot("scoring", "partition", 0))
    there = await (await another_carrier()).claim_lane("ingest")
    await emit(there, an_event("from elsewhere"), topic=SALES)
    written_at = now()
    async with within(10):
        for turn in range(100_000):
            await emit(here, an_event(f"{turn}"), topic=SCORE)
            began_at = now()
            fetched = await read(reader)
            assert SCORE in {record.topic for record in fetched}
            if SALES in {record.topic for record in fetched}:
                return
            assert began_at < written_at + log_claim.LOOK_SECONDS
    raise AssertionError("the log was never looked at")


async def test_a_look_at_the_log_reads_what_lies_behind_what_was_handed_over(
    world: PostgresWorld, another_carrier: MakeCarrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_claim, "LOOK_SECONDS", 0.0)
    reader = await a_reader(world.carrier)
    here = await world.carrier.claim(Slot("scoring", "partition", 0))
    there = await (await another_carrier()).claim(Slot("scoring", "partition", 1))
    events = [an_event(f"here {n}") for n in range(3)]
    await emit(here, *events, topic=SCORE)
    await emit(there, *(an_event(f"there {n}") for n in range(3)), topic=SCORE)
    await emit(there, *(an_event(f"said there {n}") for n in range(5)), topic=SALES)
    found = await reader.fetch(READS, 4)
    scores = [record for record in found if record.topic == SCORE]
    assert are_the_same(scores[:3], events)
    assert names(scores) == ["here 0", "here 1", "here 2", "there 0"]
    assert names(found[4:]) == [f"said there {n}" for n in range(4)]


def test_the_log_is_looked_at_four_times_a_second() -> None:
    assert log_claim.LOOK_SECONDS <= 0.25
