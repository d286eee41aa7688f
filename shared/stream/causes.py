"""Events that tell after which other one they were decided (`ce_after`): a reader of both topics applies them in that
order, whichever topic it happens to see first (EVENTS.md). Pure."""

from collections.abc import Sequence
from typing import Final

from shared.events.envelope import Record
from shared.events.topics import LIFECYCLE
from shared.stream.carrier import Positions
from shared.stream.positions import START

# While nothing else comes, what waits is applied after this time: numbers in a header are not worth a partition.
PATIENCE_SECONDS: Final = 5.0


class Ordered:
    """The records in their order, but each after the one it names. `held` are those whose turn has not come: what they
    name was not read yet, so they stay on their topic, and so does what follows them there."""

    def __init__(self, positions: Positions, fetched: Sequence[Record]) -> None:
        self.records: Sequence[Record] = fetched
        self.held: Sequence[Record] = ()
        if any(record.event.after is not None for record in fetched):
            self.records, self.held = _ordered(positions, fetched)


def _ordered(positions: Positions, fetched: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    read = dict(positions.get(LIFECYCLE, START).seqs)
    ready: list[Record] = []
    waiting: list[Record] = []
    for record in fetched:
        if record.topic == LIFECYCLE:
            ready.append(record)
            if record.emitter is not None and record.seq is not None:
                read[record.emitter] = max(read.get(record.emitter, 0), record.seq)
            while waiting and _may_come(waiting[0], read):
                ready.append(waiting.pop(0))
        elif waiting or not _may_come(record, read):
            waiting.append(record)
        else:
            ready.append(record)
    return ready, waiting


def _may_come(record: Record, read: dict[str, int]) -> bool:
    """Foreign producers number nothing, so what they claim to come after counts for nothing."""
    after = record.event.after
    return after is None or record.seq is None or read.get(f"stages/{record.partition}", 0) >= after
