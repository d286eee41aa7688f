"""How a reader's position moves, and what it does with what it sees: pure, the same on every carrier.

What is not above the position is a duplicate and dropped; a missing number is a gap (DESIGN.md "Sequences"), closed
once the emitter's relay has sent the missing number, and again all that had come before its turn.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from shared.events.envelope import Record
from shared.stream.carrier import End, Missing, Position, Positions

START = Position(0, {})


class Admission(NamedTuple):
    """What of a fetch may be applied: the records in order, how many duplicates were dropped, the positions after all
    of those, and the first record behind a gap, if there is one (nothing of any topic from it on is admitted)."""

    records: Sequence[Record]
    duplicates: int
    positions: Positions
    gap: Record | None


def admit(positions: Positions, fetched: Sequence[Record]) -> Admission:
    """Checks each record against the position of its topic, in the order given."""
    admission, gap_at = _admit(positions, fetched)
    first: Record | None = None
    while gap_at is not None:
        first, fetched = fetched[gap_at], fetched[:gap_at]
        admission, gap_at = _admit(positions, fetched)
    return admission._replace(gap=first)


def _admit(positions: Positions, fetched: Sequence[Record]) -> tuple[Admission, int | None]:
    """Also the index of the first record before its turn that did not come again in its turn."""
    offsets = {topic: position.offset for topic, position in positions.items()}
    seqs = {topic: dict(position.seqs) for topic, position in positions.items()}
    admitted: list[Record] = []
    early: dict[tuple[str, str, int], int] = {}
    duplicates = 0
    for index, record in enumerate(fetched):
        topic, emitter, seq = record.topic, record.emitter, record.seq
        if record.offset < offsets.setdefault(topic, 0):
            duplicates += 1
            continue
        offsets[topic] = record.offset + 1
        if emitter is not None and seq is not None:
            seen = seqs.setdefault(topic, {})
            last = seen.get(emitter, 0)
            if seq <= last:
                duplicates += 1
                continue
            if seq > last + 1:
                early.setdefault((topic, emitter, seq), index)
                continue
            seen[emitter] = seq
            if early:
                early.pop((topic, emitter, seq), None)
        admitted.append(record)
    moved = {topic: Position(offset, seqs.get(topic, {})) for topic, offset in offsets.items()}
    return Admission(admitted, duplicates, moved, None), min(early.values(), default=None)


def missing_before(positions: Positions, gap: Record | None) -> Missing | None:
    """What is missing between the positions and the first record behind a gap."""
    if gap is None or gap.emitter is None or gap.seq is None:
        return None
    last = positions.get(gap.topic, START).seqs.get(gap.emitter, 0)
    return Missing(gap.topic, gap.emitter, last + 1, gap.seq)


def advance(positions: Positions, records: Iterable[Record]) -> Positions:
    """The positions after these records were read; never moves back."""
    offsets: dict[str, int] = {}
    seqs: dict[str, dict[str, int]] = {}
    for record in records:
        topic = record.topic
        offsets[topic] = record.offset + 1
        if record.emitter is not None and record.seq is not None:
            seqs.setdefault(topic, {})[record.emitter] = record.seq
    moved = dict(positions)
    for topic, offset in offsets.items():
        before = moved.get(topic, START)
        moved[topic] = Position(max(before.offset, offset), {**before.seqs, **_above(before, seqs.get(topic, {}))})
    return moved


def _above(before: Position, seqs: dict[str, int]) -> dict[str, int]:
    return {emitter: seq for emitter, seq in seqs.items() if seq > before.seqs.get(emitter, 0)}


def reaches(position: Position, end: End) -> bool:
    """Whether a reader at this position has read all that `end` counts."""
    return all(position.seqs.get(emitter, 0) >= seq for emitter, seq in end.items())


def to_json(positions: Positions) -> dict[str, Any]:
    """`{topic: [offset, {emitter: seq}]}`, as it stands in the ownership row."""
    return {topic: [position.offset, dict(position.seqs)] for topic, position in positions.items()}


def from_json(value: dict[str, Any]) -> Positions:
    return {topic: Position(offset, seqs) for topic, (offset, seqs) in value.items()}


def in_order_of_receipt(fetched: Sequence[Record]) -> Sequence[Record]:
    """Merges topics by `received_at`, keeping the order within each topic: among what is at hand, what was received
    first is applied first, so that a sales action doesn't overtake the score that it answers."""
    if len({record.topic for record in fetched}) < 2:
        return fetched
    latest: dict[str, Any] = {}
    keyed = []
    for index, record in enumerate(fetched):
        at = record.event.received_at
        before = latest.get(record.topic)
        latest[record.topic] = at = at if before is None or at > before else before
        keyed.append((at, index, record))
    keyed.sort(key=lambda entry: entry[:2])
    return [record for _, _, record in keyed]
