"""What every carrier promises about the log: offsets without holes, contiguous numbers, events to the last bit."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid5

import pytest
from builders import NAMES, an_event, lead_in
from contract.worlds import PARTITIONS, World, all_on, assert_numbers_are_whole, count_on, emit, names
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from patience import within

from shared.events.envelope import Event, Outgoing
from shared.events.topics import ACTIVITY, DEAD_LETTER, SALES, SCORE, TOPICS
from shared.stream.carrier import Claim, Position, Slot

FEW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
EVENTS = st.builds(
    Event,
    id=st.uuids(),
    type=TEXT,
    key=st.uuids(),
    time=TIMES,
    received_at=TIMES,
    value=st.binary(max_size=300),
    accord=st.none() | st.integers(1, 2**31 - 1),
    cause=st.none() | st.uuids(),
    after=st.none() | st.integers(0, 2**63 - 1),
    traceparent=st.none() | TEXT,
)
# Which emitter commits how many events to which partitions, and whether the step then fails.
COMMITS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.integers(0, PARTITIONS - 1), max_size=6), st.booleans()), max_size=15
)
SLOT = Slot("scoring", "partition", 0)


class Broken(Exception):
    """What a step raises in these tests."""


def events_on(partitions: list[int], name: str) -> list[Outgoing]:
    """One event per partition named, on topics by turns."""
    events = [an_event(f"{name}.{index}", partition=partition) for index, partition in enumerate(partitions)]
    return [Outgoing((ACTIVITY, SALES)[index % 2], event) for index, event in enumerate(events)]


class LogContract:
    async def test_a_commits_events_stand_in_the_order_emitted(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT)
        places = await emit(claim, *(an_event(f"{n}", partition=n % 2) for n in range(6)))
        assert places == [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3)]
        assert names(await all_on(world, ACTIVITY, 0)) == ["0", "2", "4"]
        assert names(await all_on(world, ACTIVITY, 1)) == ["1", "3", "5"]
        assert await emit(claim) in ((), [])

    async def test_offsets_have_no_holes_under_many_emitters_at_once(self, world: World) -> None:
        lanes = [await world.carrier.claim_lane("ingest") for _ in range(3)]
        steps = [await world.carrier.claim(Slot("stages", "partition", number)) for number in range(3)]

        async def emit_much(claim: Claim, turn: int) -> None:
            for n in range(12):
                partitions = [(turn + n * k) % PARTITIONS for k in range(1, 6)]
                async with claim.step(claim.positions, claim.breaker) as transaction:
                    # Each in an order of its own: a carrier that locks as it comes would deadlock.
                    outgoing = events_on(partitions if turn % 2 else partitions[::-1], f"{claim.slot.emitter}.{n}")
                    await transaction.emit(outgoing)

        async with asyncio.TaskGroup() as tasks:
            for turn, claim in enumerate(lanes + steps):
                tasks.create_task(emit_much(claim, turn))
        await assert_numbers_are_whole(world, [ACTIVITY, SALES])
        ends = [await count_on(world.carrier, topic, p) for topic in (ACTIVITY, SALES) for p in range(PARTITIONS)]
        assert sum(ends) == 6 * 12 * 5

    @FEW
    @given(COMMITS)
    async def test_numbers_are_contiguous_whatever_fails(
        self, world: World, commits: list[tuple[int, list[int], bool]]
    ) -> None:
        claims = [await world.carrier.claim(Slot("stages", "partition", number)) for number in range(4)]
        for index, (number, partitions, fails) in enumerate(commits):
            claim = claims[number]
            try:
                async with claim.step(claim.positions, claim.breaker) as transaction:
                    await transaction.emit(events_on(partitions, f"{index}"))
                    if fails:
                        raise Broken
            except Broken:
                if index % 3 == 0:
                    await claim.reload()
                elif index % 3 == 1:
                    await claim.release()
                    claims[number] = await world.carrier.claim(claim.slot)
        await assert_numbers_are_whole(world, [ACTIVITY, SALES])
        for claim in claims:
            await claim.release()

    @FEW
    @given(st.lists(EVENTS, min_size=1, max_size=5, unique_by=lambda event: event.id))
    async def test_an_event_comes_back_to_the_last_bit(self, world: World, events: list[Event]) -> None:
        lane = await world.carrier.claim_lane("ingest")
        places = await emit(lane, *events)
        await lane.release()
        for event, (partition, number) in zip(events, places, strict=True):
            [record] = [found for found in await all_on(world, ACTIVITY, partition) if found.seq == number]
            assert record.emitter == lane.slot.emitter
            assert record.event == event
            assert isinstance(record.event.value, bytes)
            assert record.event.time.utcoffset() == event.time.utcoffset()

    async def test_a_large_event_and_every_byte_come_back(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT)
        value = bytes(range(256)) * 4_096
        await emit(claim, an_event("large")._replace(value=value))
        assert (await all_on(world, ACTIVITY, 0))[0].event.value == value

    async def test_a_fetch_reads_each_topic_from_its_position_up_to_the_limit(self, world: World) -> None:
        lane = await world.carrier.claim_lane("ingest")
        await emit(lane, *(an_event(f"a{n}") for n in range(10)), topic=ACTIVITY)
        await emit(lane, *(an_event(f"s{n}") for n in range(3)), topic=SALES)
        await emit(lane, an_event("elsewhere", partition=1), topic=SALES)
        claim = await world.carrier.claim(SLOT, [ACTIVITY, SALES])
        async with claim.step({ACTIVITY: Position(4, {}), SALES: Position(1, {})}, claim.breaker):
            pass
        assert names(await claim.fetch([ACTIVITY, SALES], 5)) == ["a4", "a5", "a6", "a7", "a8", "s1", "s2"]
        assert names(await claim.fetch([SALES], 1)) == ["s1"]
        assert not await claim.fetch([SCORE], 5)

    async def test_end_and_position_say_where_a_topic_ends_and_where_a_reader_stands(self, world: World) -> None:
        assert [await count_on(world.carrier, topic, 3) for topic in TOPICS] == [0] * len(TOPICS)
        assert await world.carrier.position("stages", SCORE, 3) == 0
        lane = await world.carrier.claim_lane("api")
        await emit(lane, *(an_event(f"{n}", partition=3) for n in range(5)), topic=SCORE)
        assert await count_on(world.carrier, SCORE, 3) == 5
        claim = await world.carrier.claim(Slot("stages", "partition", 3), [SCORE])
        async with claim.step({SCORE: Position(2, {"api/0": 2})}, claim.breaker):
            pass
        assert await world.carrier.position("stages", SCORE, 3) == 2
        assert await world.carrier.position("stages", SALES, 3) == 0
        assert await world.carrier.position("delivery", SCORE, 3) == 0

    async def test_a_service_has_read_an_end_once_its_numbers_have_reached_those_of_each_emitter(
        self, world: World
    ) -> None:
        lanes = [await world.carrier.claim_lane("api") for _ in range(2)]
        await emit(lanes[0], *(an_event(f"{n}") for n in range(2)), topic=SALES)
        await emit(lanes[1], an_event("other"), topic=SALES)
        end = await world.carrier.end(SALES, 0)
        assert end == {"api/0": 2, "api/1": 1}
        claim = await world.carrier.claim(Slot("stages", "partition", 0), [SALES])
        for seqs, is_read in (({}, False), ({"api/0": 5}, False), ({"api/0": 2, "api/1": 1}, True)):
            async with claim.step({SALES: Position(3, seqs)}, claim.breaker):
                pass
            assert await world.carrier.has_read("stages", SALES, 0, end) is is_read
            assert await world.carrier.have_read_all({"stages": SALES}, 0) is is_read
        assert await world.carrier.has_read("nobody", SALES, 0, {})
        assert not await world.carrier.have_read_all({"stages": SALES, "nobody": SALES}, 0)
        assert await world.carrier.have_read_all({"stages": SALES, "nobody": SCORE}, 0)

    async def test_what_an_open_step_emitted_is_seen_by_nobody(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT)
        reader = await world.carrier.claim(Slot("reader", "partition", 0), [DEAD_LETTER])
        async with claim.step(claim.positions, claim.breaker) as transaction:
            await transaction.emit([Outgoing(DEAD_LETTER, an_event("unseen"))])
            assert not await reader.fetch([DEAD_LETTER], 5)
        assert names(await reader.fetch([DEAD_LETTER], 5)) == ["unseen"]

    async def test_a_commit_wakes_the_readers_of_its_partitions_only(self, world: World) -> None:
        here, there = Slot("scoring", "partition", 0), Slot("scoring", "partition", 1)
        for slot in (here, there):
            await world.carrier.wait(slot, [ACTIVITY], 0)
        lane = await world.carrier.claim_lane("ingest")
        await emit(lane, an_event("news", partition=0))
        async with within(5):
            await world.carrier.wait(here, [ACTIVITY], 60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.carrier.wait(there, [ACTIVITY], 60), 0.05)

    async def test_a_step_that_fails_wakes_nobody(self, world: World) -> None:
        await world.carrier.wait(SLOT, [ACTIVITY], 0)
        claim = await world.carrier.claim(Slot("ingest", "partition", 0))
        with pytest.raises(Broken):
            async with claim.step(claim.positions, claim.breaker) as transaction:
                await transaction.emit([Outgoing(ACTIVITY, an_event("never"))])
                raise Broken
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.carrier.wait(SLOT, [ACTIVITY], 60), 0.05)

    async def test_a_wait_ends_by_name_even_if_woken_before_it_began(self, world: World) -> None:
        waiting = asyncio.create_task(world.carrier.wait(SLOT, [ACTIVITY], 60))
        world.carrier.wake(SLOT)
        async with within(5):
            await waiting
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.carrier.wait(SLOT, [ACTIVITY], 60), 0.05)

    async def test_a_wait_ends_at_its_time_out(self, world: World) -> None:
        async with within(5):
            await world.carrier.wait(SLOT, [ACTIVITY], 0.01)

    async def test_all_events_of_a_lead_lie_on_the_same_partition_of_every_topic(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT)
        for partition in range(PARTITIONS):
            event = an_event("x")._replace(key=lead_in(partition, 1), id=uuid5(NAMES, f"{partition}"))
            assert [(await emit(claim, event, topic=topic))[0][0] for topic in TOPICS] == [partition] * len(TOPICS)
