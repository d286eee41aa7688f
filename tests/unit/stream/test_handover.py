"""What commits hand to the readers of their own process: in order, bounded, and never past a hole."""

import asyncio

import pytest
from builders import an_event
from patience import within

from shared.events.envelope import Record
from shared.stream.carrier import Position, Positions, Slot
from shared.stream.handover import Handover

READER = Slot("stages", "partition", 0)
OTHER = Slot("delivery", "partition", 0)


def records(*offsets: int, topic: str = "t", partition: int = 0) -> list[Record]:
    return [
        Record(topic, partition, offset, "e/0", offset + 1, an_event(f"{topic} {partition} {offset}"))
        for offset in offsets
    ]


def at(offset: int, topic: str = "t") -> Positions:
    return {topic: Position(offset, {})}


def taken(handover: Handover, positions: Positions, limit: int = 100, slot: Slot = READER) -> list[tuple[str, int]]:
    return [(record.topic, record.offset) for record in handover.take(slot, positions, limit)]


async def a_handover(*topics: str, records_max: int = 100) -> Handover:
    """One that knows READER as a reader of these topics."""
    handover = Handover(records_max)
    await handover.wait(READER, topics or ("t",), 0)
    return handover


async def test_records_are_handed_over_as_they_were_given_and_in_order() -> None:
    handover = await a_handover()
    first, second = records(0, 1), records(2)
    handover.give(first)
    handover.give(second)
    handed = handover.take(READER, {}, 100)
    assert all(got is given for got, given in zip(handed, first + second, strict=True))


async def test_records_stay_until_the_position_has_moved_past_them() -> None:
    handover = await a_handover()
    handover.give(records(0, 1, 2))
    assert taken(handover, at(0)) == [("t", 0), ("t", 1), ("t", 2)]
    assert taken(handover, at(0)) == [("t", 0), ("t", 1), ("t", 2)]
    assert taken(handover, at(2)) == [("t", 2)]
    assert taken(handover, at(3)) == []
    assert taken(handover, at(0)) == []


async def test_nothing_is_handed_over_past_a_hole_until_the_position_has_moved_past_it() -> None:
    handover = await a_handover()
    handover.give(records(0, 3, 4))
    assert taken(handover, at(0)) == [("t", 0)]
    assert taken(handover, at(1)) == []
    assert taken(handover, at(2)) == []
    assert taken(handover, at(3)) == [("t", 3), ("t", 4)]


async def test_what_was_given_too_late_is_left_to_the_log_and_holds_up_nothing() -> None:
    handover = await a_handover()
    handover.give(records(2, 3))
    handover.give(records(0, 1))
    handover.give(records(4))
    assert taken(handover, at(0)) == []
    assert taken(handover, at(2)) == [("t", 2), ("t", 3)]
    assert taken(handover, at(4)) == [("t", 4)]


async def test_a_hole_that_is_filled_in_its_turn_is_none() -> None:
    handover = await a_handover()
    handover.give(records(0))
    assert taken(handover, at(1)) == []
    handover.give(records(1, 2))
    assert taken(handover, at(1)) == [("t", 1), ("t", 2)]


async def test_what_lies_below_the_position_or_was_given_twice_is_dropped() -> None:
    handover = await a_handover()
    handover.give(records(0, 1, 2, 3))
    handover.give(records(2, 3, 4))
    assert taken(handover, at(2)) == [("t", 2), ("t", 3)]
    assert taken(handover, at(4)) == [("t", 4)]


async def test_a_queue_past_its_bound_is_dropped_whole_and_only_that_queue() -> None:
    handover = await a_handover("t", "u", records_max=3)
    handover.give(records(0, 1, 2) + records(0, topic="u"))
    assert taken(handover, {}) == [("t", 0), ("t", 1), ("t", 2), ("u", 0)]
    handover.give(records(3))
    assert taken(handover, {}) == [("u", 0)]
    assert taken(handover, at(3)) == [("t", 3), ("u", 0)]


@pytest.mark.parametrize("given", [1, 7, 1_000])
async def test_no_queue_ever_grows_past_the_bound(given: int) -> None:
    handover = await a_handover(records_max=3)
    handover.give(records(*range(given)))
    assert len(handover._queues[READER]["t"]) <= 3


async def test_the_limit_holds_for_each_topic_and_the_rest_comes_next() -> None:
    handover = await a_handover("t", "u")
    handover.give(records(0, 1, 2) + records(5, 6, 7, topic="u"))
    assert taken(handover, at(5, "u"), limit=2) == [("t", 0), ("t", 1), ("u", 5), ("u", 6)]
    assert taken(handover, {**at(2), **at(6, "u")}, limit=2) == [("t", 2), ("u", 6), ("u", 7)]


async def test_only_who_reads_a_topic_of_a_partition_is_handed_its_records() -> None:
    handover = await a_handover("t")
    handover.give(records(0) + records(0, partition=1) + records(0, topic="u"))
    assert taken(handover, {}) == [("t", 0)]
    assert taken(handover, {}, slot=OTHER) == []
    assert taken(handover, {}, slot=READER._replace(number=1)) == []


async def test_what_was_given_before_a_reader_was_known_is_left_to_the_log() -> None:
    handover = await a_handover("t")
    handover.give(records(0))
    await handover.wait(OTHER, ("t",), 0)
    handover.give(records(1))
    assert taken(handover, {}, slot=OTHER) == []
    assert taken(handover, at(1), slot=OTHER) == [("t", 1)]
    assert taken(handover, {}) == [("t", 0), ("t", 1)]


async def test_each_reader_has_a_queue_of_its_own() -> None:
    handover = await a_handover("t")
    await handover.wait(OTHER, ("t",), 0)
    handover.give(records(0, 1))
    assert taken(handover, at(2)) == []
    assert taken(handover, at(0), slot=OTHER) == [("t", 0), ("t", 1)]


async def test_waiting_again_loses_nothing() -> None:
    handover = await a_handover("t")
    handover.give(records(0))
    await handover.wait(READER, ("t",), 0)
    assert taken(handover, {}) == [("t", 0)]


async def test_what_is_given_wakes_its_readers_only() -> None:
    handover = await a_handover("t")
    await handover.wait(OTHER, ("u",), 0)
    handover.give(records(0))
    async with within(5):
        await handover.wait(READER, ("t",), 60)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handover.wait(OTHER, ("u",), 60), 0.05)
