"""An installation moves to Kafka and back only when all that was emitted is read and nothing runs."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest
from builders import an_event, eventually
from contract.worlds import PARTITIONS, emit
from prometheus_client import CollectorRegistry

from shared.events.topics import ACTIVITY, READERS, TOPICS
from shared.stream.carrier import Claim, Position, Slot
from shared.stream.feed import Feed
from shared.stream.handover import Handover
from shared.stream.kafka import KafkaCarrier
from shared.stream.log import PostgresCarrier
from shared.stream.metrics import Metrics
from shared.stream.relay import Row
from shared.stream.setup import initialise, register_readers
from shared.stream.switch import OWNERS, CarrierInUse, use_carrier

SLOT = Slot("scoring", "partition", 0)


class Installation:
    """One database, and both carriers on it; what is sent to Kafka is only noted."""

    def __init__(self, pool: Any, connect: Any, names: Any) -> None:
        self.sent: list[int] = []
        of = {"pool": pool, "connect": connect, "partitions": PARTITIONS, "names": names}
        metrics = Metrics(CollectorRegistry())
        self.postgres = PostgresCarrier(handover=Handover(), **of)
        self.kafka = KafkaCarrier(feed_of=lambda name: Feed(name, metrics), send=self._send, metrics=metrics, **of)

    async def _send(self, emitter: str, rows: Sequence[Row]) -> None:
        self.sent.extend(row.seq for row in rows)


@pytest.fixture
async def installation(database_url: str, pool: Any) -> Installation:
    async with pool.acquire() as connection:
        _, names = await initialise(connection, topics=TOPICS, partitions=PARTITIONS, default=1)
        await register_readers(connection, READERS, PARTITIONS)
    return Installation(pool, lambda: asyncpg.connect(database_url), names)


@pytest.fixture
async def connection(pool: Any) -> AsyncIterator[Any]:
    async with pool.acquire() as connection:
        yield connection


async def _end(claim: Claim, connection: Any) -> None:
    """Gives the slot back, and returns once Postgres has ended the session."""
    await claim.release()
    await eventually(lambda: connection.fetchval(f"SELECT NOT ({OWNERS})"))


async def _read(claim: Claim, offset: int, number: int, connection: Any) -> None:
    async with claim.step({ACTIVITY: Position(offset, {"ingest/0": number})}, claim.breaker):
        pass
    await _end(claim, connection)


async def test_the_first_start_decides(connection: Any) -> None:
    await use_carrier(connection, "kafka")
    await use_carrier(connection, "kafka")
    assert await connection.fetchval("SELECT value FROM stream.settings WHERE name = 'carrier'") == "kafka"


async def test_a_process_without_a_lane_is_in_the_way_however_long_it_has_been_there(
    installation: Installation, connection: Any
) -> None:
    await use_carrier(connection, "postgres")
    claim = await installation.postgres.claim(SLOT, [ACTIVITY])
    await connection.execute("UPDATE stream.ownership SET leased_until = now() - interval '1 minute'")
    with pytest.raises(CarrierInUse, match="stop them"):
        await use_carrier(connection, "kafka")
    await _end(claim, connection)
    await use_carrier(connection, "kafka")


async def test_there_and_back(installation: Installation, connection: Any) -> None:
    await use_carrier(connection, "postgres")
    lane = await installation.postgres.claim_lane("ingest")
    await emit(lane, an_event("a"), an_event("b"))
    with pytest.raises(CarrierInUse, match="stop them"):
        await use_carrier(connection, "kafka")
    await _end(lane, connection)
    with pytest.raises(CarrierInUse, match="in Postgres, and 2 events on it are not read yet: start Accord without"):
        await use_carrier(connection, "kafka")
    await _read(await installation.postgres.claim(SLOT, [ACTIVITY]), 2, 2, connection)
    await use_carrier(connection, "kafka")
    assert await installation.kafka.position("scoring", ACTIVITY, 0) == 0
    assert await installation.kafka.has_read("scoring", ACTIVITY, 0, {"ingest/0": 2})
    lane = await installation.kafka.claim_lane("ingest")
    await emit(lane, an_event("c"))
    await eventually(lambda: installation.sent == [3])
    await _end(lane, connection)
    with pytest.raises(CarrierInUse, match="on Kafka, and 1 events on it are not read yet: start Accord with"):
        await use_carrier(connection, "postgres")
    await _read(await installation.kafka.claim(SLOT, [ACTIVITY]), 1, 3, connection)
    await use_carrier(connection, "postgres")
    assert await installation.postgres.position("scoring", ACTIVITY, 0) == 2
    lane = await installation.postgres.claim_lane("ingest")
    await emit(lane, an_event("d"))
    await _end(lane, connection)
    claim = await installation.postgres.claim(SLOT, [ACTIVITY])
    assert [(record.offset, record.seq) for record in await claim.fetch([ACTIVITY], 10)] == [(2, 4)]
    async with claim.step({ACTIVITY: Position(3, {"ingest/0": 4})}, claim.breaker):
        pass
    await _end(claim, connection)
    await use_carrier(connection, "kafka")
    assert await installation.kafka.position("scoring", ACTIVITY, 0) == 1  # where it was left
