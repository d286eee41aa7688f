"""The memory carrier: the same promises as the others, kept by one process. For tests, and as the plainest reading of
what a carrier must do. Nothing survives the process."""

import asyncio
import copy
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared.db.statement import Write
from shared.errors import OwnershipLost, PositionsMoved
from shared.events.envelope import Outgoing, Record
from shared.events.topics import partition_of
from shared.stream.breaker import Breaker
from shared.stream.carrier import DeadLetter, End, Missing, Position, Positions, Slot
from shared.stream.handover import Handover
from shared.stream.positions import START, reaches

Tables = dict[str, dict[Any, Any]]


@dataclass
class _Owned:
    """The ownership row of one slot; its lock is held while one of its transactions runs."""

    epoch: int = 0
    positions: Positions = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)
    is_held: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class MemoryTransaction:
    """Implements `Transaction`. `connection` is a copy of the tables, which replaces them when it commits."""

    def __init__(self, carrier: "MemoryCarrier", slot: Slot, epoch: int) -> None:
        self.connection = self.reader = copy.deepcopy(carrier.tables)
        self.epoch = epoch
        self.is_open = True
        self.then: list[Callable[[], None]] = []
        self.records: list[Record] = []
        self.letters: list[DeadLetter] = []
        self.replayed: list[UUID] = []
        self._carrier = carrier
        self._slot = slot

    def on_commit(self, then: Callable[[], None]) -> None:
        self.then.append(then)

    async def emit(self, outgoing: Sequence[Outgoing]) -> Sequence[tuple[int, int]]:
        if self.records:
            raise RuntimeError("a transaction emits at most once: its numbers would be given twice")
        ends: dict[tuple[str, int], int] = {}
        seqs: dict[tuple[str, int], int] = {}
        for topic, event in outgoing:
            place = (topic, partition_of(event.key, self._carrier.partitions))
            offset = ends.get(place, len(self._carrier.log[place]))
            seq = seqs.get(place, self._carrier.sequences[self._slot.emitter, *place]) + 1
            ends[place], seqs[place] = offset + 1, seq
            self.records.append(Record(topic, place[1], offset, self._slot.emitter, seq, event))
        return [(record.partition, record.seq or 0) for record in self.records]

    async def put(self, outgoing: Sequence[Outgoing]) -> None:
        await self.emit(outgoing)

    def add(self, *writes: Write) -> None:
        raise NotImplementedError("the memory carrier has tables without SQL")

    async def open(self) -> Tables:
        return self.connection

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        self.letters.extend(letters)

    async def mark_replayed(self, letter_id: UUID) -> None:
        self.replayed.append(letter_id)


class MemoryClaim:
    """Implements `Claim`."""

    def __init__(self, carrier: "MemoryCarrier", slot: Slot, owned: _Owned) -> None:
        self.slot = slot
        self.epoch = owned.epoch
        self.positions = owned.positions
        self.breaker = owned.breaker
        self._carrier = carrier

    async def fetch(self, topics: Sequence[str], limit: int) -> Sequence[Record]:
        await asyncio.sleep(0)  # as any carrier does, it lets others run
        found: list[Record] = []
        for topic in topics:
            start = self.positions.get(topic, START).offset
            found.extend(self._carrier.log[topic, self.slot.number][start : start + limit])
        return found

    @asynccontextmanager
    async def step(
        self, positions: Positions, breaker: Breaker, *, at_once: bool = False
    ) -> AsyncIterator[MemoryTransaction]:
        owned = self._carrier.owned[self.slot]
        # One writer at a time: the plain way to make numbers contiguous and copies of tables right.
        async with owned.lock, self._carrier.writing:
            if owned.epoch != self.epoch:
                raise OwnershipLost
            if owned.positions != self.positions:
                raise PositionsMoved
            transaction = MemoryTransaction(self._carrier, self.slot, self.epoch)
            yield transaction
            owned.positions, owned.breaker = positions, breaker
            self._carrier.commit(self.slot, transaction)
        self.positions, self.breaker = positions, breaker
        for then in transaction.then:
            then()

    async def reload(self) -> None:
        owned = self._carrier.owned[self.slot]
        async with owned.lock:
            if owned.epoch != self.epoch:
                raise OwnershipLost
            self.positions, self.breaker = owned.positions, owned.breaker

    async def note_missing(self, missing: Missing | None) -> None:
        self._carrier.gaps[self.slot] = (self.epoch, missing)

    async def replays(self) -> Sequence[DeadLetter]:
        asked = self._carrier.replays_asked
        mine = (self.slot.service, self.slot.number)
        return [
            letter
            for letter_id, (service, letter) in self._carrier.letters.items()
            if letter_id in asked and (service, letter.record.partition) == mine
        ]

    async def release(self) -> None:
        owned = self._carrier.owned[self.slot]
        if owned.epoch == self.epoch:
            owned.is_held = False


class MemoryCarrier:
    """Implements `Carrier`."""

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self.is_full = False
        self.tables: Tables = {}
        self.log: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.sequences: dict[tuple[str, str, int], int] = defaultdict(int)
        self.owned: dict[Slot, _Owned] = defaultdict(_Owned)
        self.letters: dict[UUID, tuple[str, DeadLetter]] = {}
        self.replays_asked: set[UUID] = set()
        self.gaps: dict[Slot, tuple[int, Missing | None]] = {}
        self.writing = asyncio.Lock()
        self._handover = Handover()

    async def claim(self, slot: Slot, topics: Sequence[str] = ()) -> MemoryClaim:
        owned = self.owned[slot]
        async with owned.lock:
            owned.epoch += 1
            owned.is_held = True
            owned.positions = {**dict.fromkeys(topics, START), **owned.positions}
            return MemoryClaim(self, slot, owned)

    async def claim_lane(self, service: str) -> MemoryClaim:
        number = 0
        while self.owned[Slot(service, "lane", number)].is_held:
            number += 1
        slot = Slot(service, "lane", number)
        self.owned[slot].is_held = True
        return await self.claim(slot)

    async def wait(self, slot: Slot, topics: Sequence[str], timeout_seconds: float) -> None:
        await self._handover.wait(slot, topics, timeout_seconds)

    def wake(self, slot: Slot) -> None:
        self._handover.wake(slot)

    def set_full(self, is_full: bool) -> None:
        """What the trimmer found."""
        self.is_full = is_full

    async def end(self, topic: str, partition: int) -> End:
        return {record.emitter: record.seq for record in self.log[topic, partition] if record.emitter and record.seq}

    async def has_read(self, service: str, topic: str, partition: int, end: End) -> bool:
        return reaches(self._position(service, topic, partition), end)

    async def have_read_all(self, readers: Mapping[str, str], partition: int) -> bool:
        return all(
            [
                await self.has_read(service, topic, partition, await self.end(topic, partition))
                for service, topic in readers.items()
            ]
        )

    async def position(self, service: str, topic: str, partition: int) -> int:
        return self._position(service, topic, partition).offset

    def _position(self, service: str, topic: str, partition: int) -> Position:
        return self.owned[Slot(service, "partition", partition)].positions.get(topic, START)

    async def resume(self, service: str, partition: int) -> bool:
        """Ends a breaker's stop; False if this partition was not stopped."""
        owned = self.owned[Slot(service, "partition", partition)]
        if not owned.breaker.is_stopped:
            return False
        owned.breaker = Breaker()
        return True

    async def gap(self, service: str, partition: int) -> Missing | None:
        """What this partition waits for, as its owner wrote it down."""
        slot = Slot(service, "partition", partition)
        epoch, missing = self.gaps.get(slot, (0, None))
        return missing if epoch == self.owned[slot].epoch else None

    async def skip(self, service: str, partition: int, missing: Missing, by: str) -> bool:
        """Moves the position past what is missing; False if the partition doesn't wait for that any more."""
        slot = Slot(service, "partition", partition)
        owned = self.owned[slot]
        async with owned.lock:
            before = owned.positions.get(missing.topic, START)
            if (
                await self.gap(service, partition) != missing
                or before.seqs.get(missing.emitter, 0) != missing.expected - 1
            ):
                return False
            after = Position(before.offset, {**before.seqs, missing.emitter: missing.found - 1})
            owned.positions = {**owned.positions, missing.topic: after}
            self.gaps.pop(slot)
        return True

    async def ask_replay(self, letter_id: UUID) -> bool:
        """Asks the owner of a dead letter's partition to apply it again; False if there is no such open letter."""
        if letter_id not in self.letters or letter_id in self.replays_asked:
            return False
        self.replays_asked.add(letter_id)
        return True

    def commit(self, slot: Slot, transaction: MemoryTransaction) -> None:
        """Everything of one transaction, in one go: no other task runs meanwhile."""
        self.tables = transaction.connection
        for record in transaction.records:
            self.log[record.topic, record.partition].append(record)
            self.sequences[slot.emitter, record.topic, record.partition] = record.seq or 0
        for letter in transaction.letters:
            self.letters[letter.id] = (slot.service, letter)
            self.replays_asked.discard(letter.id)
        for letter_id in transaction.replayed:
            self.letters.pop(letter_id, None)
            self.replays_asked.discard(letter_id)
        self._handover.touched({(record.topic, record.partition) for record in transaction.records})
