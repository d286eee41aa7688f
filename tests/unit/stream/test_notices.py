"""What a notice says, and what a reader does that hears one."""

import asyncio

import pytest
from builders import an_event
from hypothesis import given
from hypothesis import strategies as st
from patience import within

from shared.events.envelope import Record
from shared.stream.carrier import Slot
from shared.stream.handover import Handover, Place
from shared.stream.notify import read, write
from shared.stream.setup import PARTITIONS_MAX

READER = Slot("stages", "partition", 3)
NOTIFY_BYTES_MAX = 7_999


@given(st.sets(st.integers(min_value=0, max_value=PARTITIONS_MAX - 1), min_size=1))
def test_a_notice_says_which_partitions_were_written(partitions: set[int]) -> None:
    assert read(write(partitions)) == sorted(partitions)


def test_the_longest_notice_is_not_too_long_for_postgres() -> None:
    assert len(write(range(PARTITIONS_MAX)).encode()) <= NOTIFY_BYTES_MAX


@pytest.mark.parametrize("payload", ["", "everything", "1,,2", "1;2"])
def test_what_can_not_be_read_may_be_anywhere(payload: str) -> None:
    assert read(payload) is None


async def a_handover() -> Handover:
    """With one reader, for which one record is queued."""
    handover = Handover()
    await handover.wait(READER, ("t",), 0)
    handover.give([Record("t", 3, 0, "e/0", 1, an_event("a", partition=3))])
    await handover.wait(READER, ("t",), 1)
    return handover


@pytest.mark.parametrize("places", [[("t", 3)], None])
async def test_a_reader_that_hears_of_a_commit_elsewhere_looks_at_the_log_once(places: list[Place] | None) -> None:
    handover = await a_handover()
    handover.written_elsewhere(places)
    async with within(5):
        await handover.wait(READER, ("t",), 60)
    assert handover.take(READER, {}, 10) == []
    assert len(handover.take(READER, {}, 10)) == 1


async def test_a_commit_elsewhere_on_what_it_does_not_read_is_nothing_to_a_reader() -> None:
    handover = await a_handover()
    handover.written_elsewhere([("t", 2), ("u", 3)])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(handover.wait(READER, ("t",), 60), 0.05)
    assert len(handover.take(READER, {}, 10)) == 1


async def test_others_are_told_where_events_were_given_and_of_nothing_else() -> None:
    handover, told = Handover(), list[set[Place]]()
    handover.tell_others = lambda places: told.append(set(places))
    event = an_event("a")
    handover.give([Record("t", 0, 0, "e/0", 1, event), Record("t", 0, 1, "e/0", 2, event)])
    handover.give([])
    handover.touched([("t", 1)])
    assert told == [{("t", 0)}]
