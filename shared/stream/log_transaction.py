"""One step's transaction on the Postgres carrier: opened at its beginning, or one statement at its end."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from shared.db.statement import Write, write_all
from shared.errors import Surroundings
from shared.events.envelope import Outgoing, Record
from shared.stream import log_sql as sql
from shared.stream.breaker import Breaker
from shared.stream.carrier import DeadLetter, Slot
from shared.stream.emission import Emission, Places

Connection = Any  # asyncpg ships no types


class Moves(NamedTuple):
    """What a step moves in its owner's row; rows on the Kafka carrier alone."""

    positions: str
    breaker: Breaker
    next_row: int | None = None
    shipped_through: int = 0


class Topics(Protocol):
    """The small integers of topics."""

    topic_ids: dict[str, int]


class Owner(Protocol):
    """What a transaction needs of its claim."""

    slot: Slot
    epoch: int
    partitions: int
    emitter_id: int
    sequences: Places

    @property
    def names(self) -> Topics: ...
    async def begin(self, moves: Moves) -> None: ...
    def fence(self, moves: Moves) -> Write: ...


class PostgresTransaction:
    """Implements `Transaction` on the claim's own connection."""

    places = sql.FIRST_OFFSETS  # what the last statement says of where the events lie

    def __init__(self, claim: Owner, connection: Connection, moves: Moves) -> None:
        self.moves = moves
        self._claim = claim
        self._connection = connection
        self.sequences: Places = {}
        self.records: list[Record] = []
        self.then: list[Callable[[], None]] = []
        self.is_open = False
        self._writes: list[Write] = []
        self._last: Sequence[Outgoing] = ()
        self._emission: Emission | None = None

    @property
    def connection(self) -> Connection:
        if not self.is_open:
            raise RuntimeError("this step is not open: what is written now would be outside of it")
        return self._connection

    @property
    def reader(self) -> Connection:
        return self._connection

    async def open(self) -> Connection:
        if not self.is_open:
            await self._claim.begin(self.moves)
            self.is_open = True
        return self._connection

    def add(self, *writes: Write) -> None:
        self._writes.extend(writes)

    async def put(self, outgoing: Sequence[Outgoing]) -> None:
        self._last = outgoing

    async def finish(self) -> None:
        """Writes what was left to the end. A step that wasn't opened is this one statement."""
        writes = [*self._writes] if self.is_open else [self._claim.fence(self.moves), *self._writes]
        if self._last:
            writes.append(self._number(self._last))
            self._emitted(await write_all(self._connection, writes, self.places))
        elif writes:
            await write_all(self._connection, writes)
        if self.is_open and await self._connection.execute("COMMIT") != "COMMIT":
            raise Surroundings("Postgres rolled the step back")

    @property
    def epoch(self) -> int:
        return self._claim.epoch

    def on_commit(self, then: Callable[[], None]) -> None:
        self.then.append(then)

    async def emit(self, outgoing: Sequence[Outgoing]) -> Sequence[tuple[int, int]]:
        if not outgoing:
            return ()
        await self.open()
        write = self._number(outgoing)
        self._emitted(await write_all(await self.open(), [write], self.places))
        return self._numbers()

    def _numbers(self) -> Sequence[tuple[int, int]]:
        return [(record.partition, record.seq or 0) for record in self.records]

    def _number(self, outgoing: Sequence[Outgoing]) -> Write:
        if self._emission is not None:
            raise RuntimeError("a transaction emits at most once: its numbers would be given twice")
        claim = self._claim
        self._emission = Emission(
            outgoing,
            emitter=(claim.emitter_id, claim.slot.emitter),
            topic_ids=claim.names.topic_ids,
            partitions=claim.partitions,
        )
        write, self.sequences = self._emission.numbered(claim.sequences)
        return write

    def _emitted(self, first_offsets: Any) -> None:
        if self._emission is not None:
            self.records = self._emission.records(first_offsets)

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        await (await self.open()).executemany(
            sql.BURY, [_letter_row(self._claim.slot.service, letter) for letter in letters]
        )

    async def mark_replayed(self, letter_id: UUID) -> None:
        await (await self.open()).execute(sql.MARK_REPLAYED, letter_id)


def _letter_row(service: str, letter: DeadLetter) -> tuple[Any, ...]:
    record = letter.record
    place = (letter.id, service, record.topic, record.partition, record.offset, record.emitter, record.seq)
    return (*place, *record.event, letter.kind, letter.message, letter.at)
