"""Events on their way to the log of the Postgres carrier: their places, their numbers, the write that appends them."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.db.columns import columns
from shared.db.statement import Write
from shared.events.envelope import Outgoing, Record
from shared.events.topics import partition_of
from shared.stream import log_sql as sql

Places = dict[tuple[int, int], int]  # (topic id, partition) -> number


class Emission:
    """All that one transaction emits. `sequences` are the emitter's last numbers before it."""

    def __init__(
        self, outgoing: Sequence[Outgoing], *, emitter: tuple[int, str], topic_ids: Mapping[str, int], partitions: int
    ) -> None:
        self._outgoing = outgoing
        self._emitter_id, self._emitter = emitter
        self._places = [(topic_ids[topic], partition_of(event.key, partitions)) for topic, event in outgoing]
        self._counts: Places = {}
        self._ranks: list[int] = []
        counts, ranks = self._counts, self._ranks
        for place in self._places:
            rank = counts.get(place, 0)
            ranks.append(rank)
            counts[place] = rank + 1

    def numbered(self, sequences: Mapping[tuple[int, int], int]) -> tuple[Write, Places]:
        """What appends the events after these numbers, and the last numbers then."""
        before = self._before = {place: sequences.get(place, 0) for place in self._counts}
        wanted, sent = [], 0
        for place, count in sorted(self._counts.items()):
            wanted.append((*place, sent, count, before[place]))
            sent += count
        write = Write(sql.EMIT, (self._emitter_id, *columns(wanted), *event_columns(self._by_place())))
        return write, {place: before[place] + count for place, count in self._counts.items()}

    def _by_place(self) -> Sequence[Outgoing]:
        """The events of each place together, in their order."""
        if len(self._counts) == 1:
            return self._outgoing
        return [self._outgoing[index] for index in sorted(range(len(self._outgoing)), key=self._places.__getitem__)]

    def records(self, first_offsets: Sequence[int]) -> list[Record]:
        """The events as they lie on the log: `first_offsets` are those of their places in order."""
        emitter = self._emitter
        first = dict(zip(sorted(self._counts), first_offsets, strict=True))
        starts = {place: (offset, self._before[place] + 1) for place, offset in first.items()}
        records = []
        for (topic, event), place, rank in zip(self._outgoing, self._places, self._ranks, strict=True):
            offset, seq = starts[place]
            records.append(Record(topic, place[1], offset + rank, emitter, seq + rank, event))
        return records


def event_columns(outgoing: Sequence[Outgoing]) -> list[Any]:
    """The events' fields as columns, in the order of Event."""
    return sql.EVENT_COLUMNS.of([event for _, event in outgoing])
