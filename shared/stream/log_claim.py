"""One slot owned on the Postgres carrier: its connection, its fenced transactions, its reads."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from shared.db.faults import DATABASE_ERRORS
from shared.db.statement import Refused, Write
from shared.errors import OwnershipLost, PositionsMoved, Surroundings
from shared.events.envelope import Event, Record
from shared.stream import log_sql as sql
from shared.stream import positions as positions_
from shared.stream.breaker import Breaker
from shared.stream.carrier import DeadLetter, Missing, Positions, Slot
from shared.stream.emission import Places
from shared.stream.handover import Handover
from shared.stream.log_transaction import Moves, PostgresTransaction

# However much is handed over, the log itself is looked at this often: other processes write to it too.
LOOK_SECONDS = 0.25

Connection = Any


class Names:
    """The small integers of topics and emitters. Topics are fixed at start; emitters are learned as they appear."""

    def __init__(self, topic_ids: dict[str, int]) -> None:
        self.topic_ids = topic_ids
        self.topics = {number: name for name, number in topic_ids.items()}
        self.emitters: dict[int, str] = {}

    async def emitter_id(self, connection: Connection, name: str) -> int:
        number = await connection.fetchval(sql.EMITTER_ID, name)
        self.emitters[number] = name
        return int(number)

    async def learn_emitters(self, connection: Connection, numbers: set[int]) -> None:
        if not numbers <= self.emitters.keys():
            self.emitters.update(await connection.fetch("SELECT emitter_id, name FROM stream.emitters"))


class PostgresClaim:
    """Implements `Claim`. After a failure the runner calls `reload`, which reconnects if the connection was lost."""

    def __init__(
        self,
        *,
        slot: Slot,
        epoch: int,
        names: Names,
        handover: Handover,
        connect: Callable[[], Awaitable[Connection]],
        partitions: int,
    ) -> None:
        self.slot = slot
        self.epoch = epoch
        self.names = names
        self.partitions = partitions
        self.emitter_id = 0
        self.positions: Positions = {}
        self.breaker = Breaker()
        self.sequences: Places = {}
        self._positions_json = "{}"
        self._handover = handover
        self._connect = connect
        self._connection: Connection = None
        self._session = 0
        self._look_at = 0.0

    async def load(self, connection: Connection) -> None:
        """Reads what the slot's row and counters say, under the row lock: so after any commit in flight."""
        async with connection.transaction():
            row = await connection.fetchrow(sql.OWNED, *self.slot)
            if row is None or row["epoch"] != self.epoch:
                raise OwnershipLost
            self.emitter_id = await self.names.emitter_id(connection, self.slot.emitter)
            numbers = await connection.fetch(sql.SEQUENCES, self.emitter_id)
        self._positions_json = row["positions"]
        self.positions = positions_.from_json(json.loads(row["positions"]))
        self.breaker = Breaker.from_json(json.loads(row["breaker"]))
        self.sequences = {(topic_id, partition): seq for topic_id, partition, seq in numbers}
        self._session = row["session"]
        self._connection = connection

    async def reload(self) -> None:
        connection = self._connection
        is_lost = connection is None or connection.is_closed()
        if is_lost:
            connection = await self._connect()
        try:
            if is_lost and not await connection.fetchval(sql.END_SESSION, self._session):
                raise Surroundings("the session of a lost connection doesn't end")
            await self.load(connection)
        except BaseException:
            connection.terminate()
            raise

    async def fetch(self, topics: Sequence[str], limit: int) -> Sequence[Record]:
        now = asyncio.get_running_loop().time()
        handed = self._handover.take(self.slot, self.positions, limit)
        if handed and now < self._look_at:
            return handed
        self._look_at = now + LOOK_SECONDS
        return [*handed, *await self._read(topics, Counter([record.topic for record in handed]), limit)]

    async def _read(self, topics: Sequence[str], handed: Mapping[str, int], limit: int) -> Sequence[Record]:
        """What lies on the log behind so many that were handed over."""
        ids = [self.names.topic_ids[topic] for topic in topics]
        starts = [self.positions.get(topic, positions_.START).offset + handed[topic] for topic in topics]
        room = [limit - handed[topic] for topic in topics]
        rows = await self._connection.fetch(sql.FETCH, ids, starts, room, self.slot.number)
        if not rows:
            return ()
        await self.names.learn_emitters(self._connection, {row[2] for row in rows})
        topic_names, emitters, partition = self.names.topics, self.names.emitters, self.slot.number
        return [
            Record(topic_names[row[0]], partition, row[1], emitters[row[2]], row[3], Event(*row[4:])) for row in rows
        ]

    @asynccontextmanager
    async def step(
        self, positions: Positions, breaker: Breaker, *, at_once: bool = False
    ) -> AsyncIterator[PostgresTransaction]:
        connection = self._connection
        if connection is None or connection.is_closed():
            raise Surroundings("the claim's connection is lost")
        moved = self._positions_json
        if positions is not self.positions:
            moved = json.dumps(positions_.to_json(positions))
        transaction = self._transaction(connection, Moves(moved, breaker))
        try:
            if not at_once:
                await transaction.open()
            yield transaction
            await transaction.finish()
        except Refused as refused:
            await _roll_back(connection)
            raise await refused.reason(connection) from None
        except BaseException:
            await _roll_back(connection)
            raise
        self._positions_json = moved
        self.positions = positions
        self.breaker = breaker
        self.sequences.update(transaction.sequences)
        self._committed(transaction)
        for then in transaction.then:
            then()

    def _transaction(self, connection: Connection, moves: Moves) -> PostgresTransaction:
        return PostgresTransaction(self, connection, moves)

    def _committed(self, transaction: PostgresTransaction) -> None:
        self._handover.give(transaction.records)

    async def begin(self, moves: Moves) -> None:
        """Begins a transaction with the fence. Raises OwnershipLost or PositionsMoved."""
        script = sql.begin(self.slot, self.epoch, self._positions_json, moves.positions, moves.breaker)
        if await self._connection.execute(script) != "UPDATE 1":
            raise await self._explain_refusal(self._connection)

    def fence(self, moves: Moves) -> Write:
        """The same as the first write of a step that is one statement."""
        breaker = json.dumps(moves.breaker.to_json())
        values = (moves.positions, breaker, *self.slot, self.epoch, self._positions_json)
        return Write(sql.FENCE, values, sql.FENCED, 1, self._explain_refusal)

    async def _explain_refusal(self, connection: Connection) -> Exception:
        epoch = await connection.fetchval(sql.EPOCH, *self.slot)
        return PositionsMoved() if epoch == self.epoch else OwnershipLost()

    async def note_missing(self, missing: Missing | None) -> None:
        place = (self.slot.service, self.slot.number, self.epoch)
        if missing is None:
            await self._connection.execute(sql.NO_GAP, *place)
        else:
            await self._connection.execute(sql.GAP, *place, *missing)

    async def replays(self) -> Sequence[DeadLetter]:
        rows = await self._connection.fetch(sql.REPLAYING, self.slot.service, self.slot.number)
        letters = []
        for letter_id, topic, partition, offset, emitter, seq, *event, kind, message, at in rows:
            record = Record(topic, partition, offset, emitter, seq, Event(*event))
            letters.append(DeadLetter(letter_id, record, kind, message, at))
        return letters

    async def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed():
            return
        try:
            await connection.execute(sql.RELEASE, *self.slot, self.epoch, timeout=2)
            await connection.close(timeout=2)
        except DATABASE_ERRORS:
            # The lease runs out by itself; a successor needs nothing from us.
            connection.terminate()


async def _roll_back(connection: Connection) -> None:
    """Leaves no transaction open. A connection that can't even do that is of no use; `reload` makes another."""
    try:
        if not connection.is_closed() and connection.is_in_transaction():
            await connection.execute("ROLLBACK")
    except DATABASE_ERRORS:
        connection.terminate()
