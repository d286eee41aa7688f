"""How positions move: duplicates dropped, gaps found, nothing lost, nothing twice."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from builders import NOON, an_event
from hypothesis import given
from hypothesis import strategies as st

from shared.events.envelope import Record
from shared.stream.carrier import Position, Positions
from shared.stream.positions import START, admit, advance, from_json, in_order_of_receipt, to_json


def a_record(offset: int, seq: int | None, emitter: str | None = "e", topic: str = "t", second: int = 0) -> Record:
    event = an_event(f"{emitter} {seq}", received_at=NOON + timedelta(seconds=second))
    return Record(topic, 0, offset, emitter if seq is not None else None, seq, event)


def a_log(seqs: Sequence[int], start: int = 0) -> list[Record]:
    return [a_record(start + index, seq) for index, seq in enumerate(seqs)]


def applied(records: Sequence[Record]) -> list[int | None]:
    return [record.seq for record in records]


EMITTERS = st.sampled_from("abc")
TOPICS = st.sampled_from(["t", "u"])


@st.composite
def whole_logs(draw: st.DrawFn) -> list[Record]:
    """Two topics with some emitters each, all numbers there and in order."""
    ends: dict[tuple[str, ...], int] = {}
    records = []
    for topic, emitter in draw(st.lists(st.tuples(TOPICS, EMITTERS), max_size=40)):
        ends[topic, emitter] = seq = ends.get((topic, emitter), 0) + 1
        ends[topic,] = offset = ends.get((topic,), -1) + 1
        records.append(a_record(offset, seq, emitter, topic))
    return records


@given(whole_logs())
def test_a_whole_log_is_admitted_as_it_is(log: list[Record]) -> None:
    admission = admit({}, log)
    assert admission.records == log
    assert (admission.duplicates, admission.gap) == (0, None)
    assert admission.positions == advance({}, log)


@given(whole_logs(), st.data())
def test_read_in_any_pieces_with_overlaps_each_event_is_admitted_once(log: list[Record], data: st.DataObject) -> None:
    positions: Positions = {}
    seen: list[Record] = []
    end = 0
    while end < len(log):
        start = data.draw(st.integers(0, end), label="start")
        end = data.draw(st.integers(end + 1, len(log)), label="end")
        admission = admit(positions, log[start:end])
        assert admission.gap is None
        seen.extend(admission.records)
        positions = admission.positions
    assert seen == log
    assert positions == advance({}, log)


@given(whole_logs(), st.data())
def test_a_step_of_any_first_part_lets_the_rest_in_afterwards(log: list[Record], data: st.DataObject) -> None:
    part = log[: data.draw(st.integers(0, len(log)))]
    assert admit(advance({}, part), log).records == log[len(part) :]


@given(whole_logs(), st.data())
def test_nothing_from_a_missing_number_on_is_admitted(log: list[Record], data: st.DataObject) -> None:
    if not log:
        return
    missing = data.draw(st.integers(0, len(log) - 1))
    rest = log[:missing] + log[missing + 1 :]
    behind = [index for index, record in enumerate(rest) if index >= missing and _same_line(record, log[missing])]
    admission = admit({}, rest)
    if behind:
        assert admission.gap == rest[behind[0]]
        assert admission.records == rest[: behind[0]]
        assert admission.positions == advance({}, rest[: behind[0]])
    else:
        assert admission.gap is None
        assert admission.records == rest


def _same_line(record: Record, other: Record) -> bool:
    return (record.topic, record.emitter) == (other.topic, other.emitter)


@given(st.lists(st.integers(1, 6), max_size=14))
def test_whatever_a_relay_sends_again_numbers_are_applied_contiguously(seqs: list[int]) -> None:
    """And if the numbers up to the highest all come in turn after it, nothing is missing in the end."""
    log = a_log([*seqs, *range(1, max(seqs, default=0) + 1)])
    positions: Positions = {}
    seen: list[int | None] = []
    admission = admit(positions, [])
    for end in range(len(log) + 1):
        admission = admit(positions, log[positions.get("t", START).offset : end])
        seen.extend(applied(admission.records))
        positions = admission.positions
    assert seen == list(range(1, max(seqs, default=0) + 1))
    assert admission.gap is None


def test_an_early_number_waits_until_the_missing_one_came_and_it_came_again() -> None:
    assert applied(admit({}, a_log([1, 3, 2])).records) == [1]
    assert admit({}, a_log([1, 3, 2])).gap == a_log([1, 3])[1]
    again = admit({}, a_log([1, 3, 2, 3]))
    assert (applied(again.records), again.gap, again.positions) == ([1, 2, 3], None, {"t": Position(4, {"e": 3})})


def test_a_gap_of_one_emitter_stops_all_topics_from_there_on() -> None:
    log = [a_record(0, 1, "a"), a_record(1, 3, "a"), a_record(2, 1, "b"), a_record(0, 1, "a", "u")]
    admission = admit({}, log)
    assert (admission.records, admission.gap) == (log[:1], log[1])
    assert admission.positions == {"t": Position(1, {"a": 1})}


def test_two_gaps_are_reported_as_the_first() -> None:
    log = [a_record(0, 2, "a"), a_record(1, 2, "b"), a_record(2, 1, "a"), a_record(3, 2, "a")]
    assert admit({}, log).gap == log[0]
    assert admit({}, log[1:]).gap == log[1]


def test_duplicates_move_the_position_and_are_counted() -> None:
    before = {"t": Position(2, {"e": 5})}
    admission = admit(before, [a_record(1, 6), a_record(2, 5), a_record(3, 6)])
    assert (applied(admission.records), admission.duplicates) == ([6], 2)
    assert admission.positions == {"t": Position(4, {"e": 6})}


def test_events_of_foreign_producers_have_no_numbers_and_are_admitted_by_offset() -> None:
    log = [a_record(0, None), a_record(1, None), a_record(2, 1)]
    assert admit({"t": Position(1, {})}, log).records == log[1:]


@given(whole_logs(), whole_logs())
def test_a_position_never_moves_back(first: list[Record], second: list[Record]) -> None:
    before = advance({}, first)
    after = advance(before, second)
    for topic, position in before.items():
        assert after[topic].offset >= position.offset
        assert all(after[topic].seqs[emitter] >= seq for emitter, seq in position.seqs.items())
    assert before == advance({}, first)


@given(whole_logs())
def test_positions_survive_json(log: list[Record]) -> None:
    positions = advance({}, log)
    assert from_json(to_json(positions)) == positions


@given(st.lists(st.tuples(TOPICS, st.integers(0, 9)), max_size=30))
def test_a_merge_keeps_each_topics_order_and_all_records(seconds: list[tuple[str, int]]) -> None:
    log = [a_record(n, n + 1, topic=topic, second=second) for n, (topic, second) in enumerate(seconds)]
    by_topic = [record for topic in ("t", "u") for record in log if record.topic == topic]
    merged = in_order_of_receipt(by_topic)
    for topic in ("t", "u"):
        assert [r for r in merged if r.topic == topic] == [r for r in log if r.topic == topic]
    assert len(merged) == len(log)


@pytest.mark.parametrize("turned", [False, True])
def test_a_merge_puts_what_was_received_first_before_the_rest(turned: bool) -> None:
    score, action = a_record(0, 1, topic="score", second=1), a_record(0, 1, topic="sales", second=2)
    assert in_order_of_receipt([action, score] if turned else [score, action]) == [score, action]
