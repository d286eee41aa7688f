"""A carrier under test, with what a test must see or do behind its back. One per carrier."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from shared.events.envelope import Event, Outgoing, Record
from shared.events.topics import ACTIVITY, TOPICS
from shared.stream import positions as positions_
from shared.stream.carrier import Carrier, Claim, Missing, Positions, Slot, Transaction
from shared.stream.handover import Handover
from shared.stream.log import PostgresCarrier
from shared.stream.log_claim import PostgresClaim
from shared.stream.memory import MemoryCarrier
from shared.stream.positions import admit
from shared.stream.setup import initialise

PARTITIONS = 4
# For the rest of a step that is about to stand still: a busy machine lets as much pass between two statements.
IMPATIENT = "SET LOCAL idle_in_transaction_session_timeout = '100ms'"


class OperatedCarrier(Carrier, Protocol):
    """A carrier with what operators do to it."""

    async def resume(self, service: str, partition: int) -> bool: ...

    async def gap(self, service: str, partition: int) -> Missing | None: ...

    async def skip(self, service: str, partition: int, missing: Missing, by: str) -> bool: ...

    async def ask_replay(self, letter_id: UUID) -> bool: ...


class World(Protocol):
    """What a carrier's test file must provide. `saved` lists what committed steps saved, in order, repetitions too."""

    ships: bool
    """Whether a relay takes events to the topics: at least once, so that a topic may hold one twice."""

    @property
    def carrier(self) -> OperatedCarrier: ...

    async def save(self, transaction: Transaction, key: str, value: str) -> None: ...

    async def saved(self) -> list[tuple[str, str]]: ...

    async def put(self, topic: str, partition: int, numbered: Sequence[tuple[str, int, Event]]) -> None:
        """Puts (emitter, number, event) at the end of a topic, as a broker would whatever the numbers."""

    async def move_positions(self, slot: Slot, positions: Positions) -> None:
        """Moves positions without a step, as a commit does whose answer was lost."""

    async def a_take_over_waits(self) -> bool:
        """True once a claim waits for a commit in flight."""

    async def letters(self) -> int:
        """How many dead letters are kept and not replayed."""


class MemoryWorld:
    """Implements `World`."""

    ships = False

    def __init__(self) -> None:
        self.carrier = MemoryCarrier(PARTITIONS)

    async def save(self, transaction: Transaction, key: str, value: str) -> None:
        table = transaction.connection.setdefault("kept", {})
        table[len(table)] = (key, value)

    async def saved(self) -> list[tuple[str, str]]:
        return list(self.carrier.tables.get("kept", {}).values())

    async def put(self, topic: str, partition: int, numbered: Sequence[tuple[str, int, Event]]) -> None:
        log = self.carrier.log[topic, partition]
        for emitter, seq, event in numbered:
            log.append(Record(topic, partition, len(log), emitter, seq, event))

    async def move_positions(self, slot: Slot, positions: Positions) -> None:
        self.carrier.owned[slot].positions = positions

    async def a_take_over_waits(self) -> bool:
        # asyncio tells of a lock's waiters in no other way, and "locked" is true of the commit in flight alone.
        return any(owned.lock._waiters for owned in self.carrier.owned.values())

    async def letters(self) -> int:
        return len(self.carrier.letters)


class PostgresWorld:
    """Implements `World` on a fresh migrated database."""

    ships = False

    def __init__(self, *, pool: Any, carrier: PostgresCarrier, connections: list[Any]) -> None:
        self.pool = pool
        self.carrier = carrier
        self._connections = connections

    @classmethod
    async def open(cls, database_url: str, pool: Any) -> "PostgresWorld":
        connections: list[Any] = []

        async def connect() -> Any:
            settings = {"idle_in_transaction_session_timeout": "10s"}
            connections.append(await asyncpg.connect(database_url, server_settings=settings))
            return connections[-1]

        async with pool.acquire() as connection:
            await connection.execute("CREATE TABLE kept (number serial PRIMARY KEY, key text, value text)")
            partitions, names = await initialise(connection, topics=TOPICS, partitions=PARTITIONS, default=1)
        carrier = PostgresCarrier(pool=pool, connect=connect, partitions=partitions, names=names, handover=Handover())
        return cls(pool=pool, carrier=carrier, connections=connections)

    def close(self) -> None:
        for connection in self._connections:
            connection.terminate()

    def cut_connections(self) -> None:
        """What a network does."""
        self.close()

    async def save(self, transaction: Transaction, key: str, value: str) -> None:
        await transaction.connection.execute("INSERT INTO kept (key, value) VALUES ($1, $2)", key, value)

    async def saved(self) -> list[tuple[str, str]]:
        return [tuple(row) for row in await self.pool.fetch("SELECT key, value FROM kept ORDER BY number")]

    async def put(self, topic: str, partition: int, numbered: Sequence[tuple[str, int, Event]]) -> None:
        """Through claims of the emitters named, whose count is set so that each event gets the number wanted."""
        for emitter, seq, event in numbered:
            service, number = emitter.split("/")
            claim = await self.carrier.claim(Slot(service, "partition", int(number)))
            assert isinstance(claim, PostgresClaim)
            claim.sequences[claim.names.topic_ids[topic], partition] = seq - 1
            await emit(claim, event, topic=topic)
            await claim.release()

    async def move_positions(self, slot: Slot, positions: Positions) -> None:
        await self.pool.execute(
            """UPDATE stream.ownership SET positions = ($4::text)::jsonb
            WHERE service = $1 AND kind = $2 AND number = $3""",
            *slot,
            json.dumps(positions_.to_json(positions)),
        )

    async def a_take_over_waits(self) -> bool:
        waiting = """SELECT EXISTS (SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock')"""
        return bool(await self.pool.fetchval(waiting))

    async def letters(self) -> int:
        return int(await self.pool.fetchval("SELECT count(*) FROM stream.dead_letters WHERE state <> 'replayed'"))


async def emit(claim: Claim, *events: Event, topic: str = ACTIVITY) -> Sequence[tuple[int, int]]:
    """Puts events on a topic by a step that moves nothing."""
    async with claim.step(claim.positions, claim.breaker) as transaction:
        return await transaction.emit([Outgoing(topic, event) for event in events])


async def count_on(carrier: Carrier, topic: str, partition: int) -> int:
    """How many events were committed for one partition of a topic, by the numbers of its emitters."""
    return sum((await carrier.end(topic, partition)).values())


async def all_on(world: World, topic: str, partition: int) -> Sequence[Record]:
    """Everything that lies on one partition of a topic, read as a service would: what comes twice counts once."""
    claim = await world.carrier.claim(Slot("reader-of-all", "partition", partition))
    try:
        return admit({}, await claim.fetch([topic], 100_000)).records
    finally:
        await claim.release()


async def assert_numbers_are_whole(world: World, topics: Sequence[str]) -> None:
    """Numbers contiguous from 1 per emitter, topic and partition; offsets in order and, where nothing is sent again,
    without holes."""
    for topic in topics:
        for partition in range(world.carrier.partitions):
            records = await all_on(world, topic, partition)
            offsets = [record.offset for record in records]
            assert offsets == (sorted(set(offsets)) if world.ships else list(range(len(records))))
            assert await count_on(world.carrier, topic, partition) == len(records)
            numbers: defaultdict[str | None, list[int | None]] = defaultdict(list)
            for record in records:
                assert (record.topic, record.partition) == (topic, partition)
                numbers[record.emitter].append(record.seq)
            for seqs in numbers.values():
                assert seqs == list(range(1, len(seqs) + 1))


def names(records: Sequence[Record]) -> list[str]:
    return [record.event.value.decode() for record in records]
