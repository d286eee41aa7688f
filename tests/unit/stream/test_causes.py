"""Events of two topics are applied in the order in which they were decided, whichever is seen first."""

from uuid import uuid5

import pytest
from builders import NAMES, an_event
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.events.envelope import Record
from shared.events.topics import LIFECYCLE, SLA
from shared.stream.carrier import Position
from shared.stream.causes import Ordered

STAGES, CLOCKS = "stages/0", "sla-monitor/0"


def stage(seq: int) -> Record:
    return Record(LIFECYCLE, 0, seq, STAGES, seq, an_event(f"stage {seq}"))


def clock(seq: int, after: int | None, *, emitter: str | None = CLOCKS) -> Record:
    event = an_event(f"clock {seq}")._replace(after=after, id=uuid5(NAMES, f"{seq}"))
    return Record(SLA, 0, seq, emitter, seq if emitter else None, event)


def read_to(seq: int) -> dict[str, Position]:
    return {LIFECYCLE: Position(seq + 1, {STAGES: seq})}


def test_an_event_waits_for_the_one_it_was_decided_at() -> None:
    ordered = Ordered(read_to(3), [clock(1, 3), clock(2, 5), clock(3, 4), stage(4)])
    assert ordered.records == [clock(1, 3), stage(4)]
    assert ordered.held == [clock(2, 5), clock(3, 4)]
    ordered = Ordered(read_to(3), [clock(2, 5), clock(3, 4), stage(4), stage(5)])
    assert ordered.records == [stage(4), stage(5), clock(2, 5), clock(3, 4)]
    assert not ordered.held


@pytest.mark.parametrize("record", [clock(1, None), clock(1, 10**15, emitter=None), clock(1, 0)])
def test_what_names_no_event_or_comes_from_a_foreign_producer_waits_for_nothing(record: Record) -> None:
    assert Ordered({}, [record]).records == [record]


@settings(max_examples=100)
@given(data=st.data(), stages=st.integers(0, 12), clocks=st.integers(0, 12), read=st.integers(0, 6))
def test_no_event_overtakes_its_cause_and_none_is_lost(
    data: st.DataObject, stages: int, clocks: int, read: int
) -> None:
    afters = sorted(data.draw(st.lists(st.integers(0, 20), min_size=clocks, max_size=clocks)))
    lines = [[stage(read + n) for n in range(1, stages + 1)], [clock(n, a) for n, a in enumerate(afters, 1)]]
    fetched: list[Record] = []
    while any(lines):
        fetched.append(data.draw(st.sampled_from([line for line in lines if line])).pop(0))
    ordered = Ordered(read_to(read), fetched)
    seen = read
    for record in ordered.records:
        seen = record.offset if record.topic == LIFECYCLE else seen
        assert record.event.after is None or record.event.after <= seen
    for topic in (LIFECYCLE, SLA):
        kept = [r for r in [*ordered.records, *ordered.held] if r.topic == topic]
        assert kept == [r for r in fetched if r.topic == topic]
    assert all((r.event.after or 0) > read + stages for r in ordered.held[:1])
