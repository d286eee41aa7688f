"""The Postgres carrier keeps the carrier contract, and what only it can be asked: leases, set-up, vanished owners."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from builders import an_event
from contract.carrier_contract import CarrierContract
from contract.worlds import (
    IMPATIENT,
    PARTITIONS,
    PostgresWorld,
    all_on,
    assert_numbers_are_whole,
    count_on,
    emit,
    names,
)
from patience import within

from shared.errors import InvalidDocument, Surroundings
from shared.events.envelope import Outgoing
from shared.events.topics import ACTIVITY, READERS, SCORE, TOPICS
from shared.stream.carrier import Position, Slot
from shared.stream.faults import is_poison
from shared.stream.setup import initialise, register_readers

SLOT = Slot("scoring", "partition", 0)


@pytest.fixture
async def world(database_url: str, pool: Any) -> AsyncIterator[PostgresWorld]:
    world = await PostgresWorld.open(database_url, pool)
    yield world
    world.close()


class TestPostgresCarrier(CarrierContract):
    """The contract alone."""


async def test_postgres_ends_the_step_of_an_owner_that_stands_still(world: PostgresWorld) -> None:
    former = await world.carrier.claim(SLOT, [ACTIVITY])
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)) as ended:
        async with former.step({ACTIVITY: Position(1, {})}, former.breaker) as transaction:
            await world.save(transaction, "never", "")
            await transaction.emit([Outgoing(SCORE, an_event("never"))])
            await transaction.connection.execute(IMPATIENT)
            async with within(5):
                successor = await world.carrier.claim(SLOT, [ACTIVITY])
    assert not is_poison(ended.value)
    await former.release()
    assert successor.positions == {ACTIVITY: Position(0, {})}
    assert await world.saved() == []
    assert await count_on(world.carrier, SCORE, 0) == 0


async def test_a_lane_whose_lease_ran_out_is_taken_by_the_next_publisher(world: PostgresWorld) -> None:
    vanished = await world.carrier.claim_lane("ingest")
    await emit(vanished, an_event("a"))
    assert (await world.carrier.claim_lane("ingest")).slot.number == 1
    await world.pool.execute("UPDATE stream.ownership SET leased_until = now() - interval '1 second' WHERE number = 0")
    heir = await world.carrier.claim_lane("ingest")
    assert heir.slot == vanished.slot
    await emit(heir, an_event("b"))
    assert [(r.emitter, r.seq) for r in await all_on(world, ACTIVITY, 0)] == [("ingest/0", 1), ("ingest/0", 2)]


async def test_each_commit_of_a_lane_renews_its_lease(world: PostgresWorld) -> None:
    lane = await world.carrier.claim_lane("ingest")
    await world.pool.execute("UPDATE stream.ownership SET leased_until = now() - interval '1 second'")
    async with lane.step(lane.positions, lane.breaker):
        pass
    assert await world.pool.fetchval("SELECT leased_until > now() + interval '10 seconds' FROM stream.ownership")


async def test_a_claim_connects_again_after_its_connection_was_cut(world: PostgresWorld) -> None:
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    await emit(claim, an_event("a"))
    world.cut_connections()
    with pytest.raises(Surroundings):
        await emit(claim, an_event("b"))
    await claim.reload()
    await emit(claim, an_event("c"))
    world.cut_connections()
    await claim.release()
    assert names(await all_on(world, ACTIVITY, 0)) == ["a", "c"]
    await assert_numbers_are_whole(world, [ACTIVITY])


async def test_the_first_start_fixes_the_number_of_partitions(world: PostgresWorld) -> None:
    async with world.pool.acquire() as connection:
        for partitions in (None, PARTITIONS):
            count, ids = await initialise(connection, topics=TOPICS, partitions=partitions, default=9)
            assert count == PARTITIONS
            assert set(ids.topic_ids) == set(TOPICS)
        for wrong in (PARTITIONS + 1, 0, 1_025):
            with pytest.raises(InvalidDocument, match=f"found {wrong}"):
                await initialise(connection, topics=TOPICS, partitions=wrong, default=9)
    assert await world.pool.fetchval("SELECT count(*) FROM stream.offsets") == PARTITIONS * len(TOPICS)


async def test_processes_that_start_at_once_agree_on_the_set_up(database_url: str, pool: Any) -> None:
    async def start(partitions: int) -> int:
        async with pool.acquire() as connection:
            return (await initialise(connection, topics=TOPICS, partitions=None, default=partitions))[0]

    counts = await asyncio.gather(*(start(partitions) for partitions in (2, 3, 4, 5)))
    assert len(set(counts)) == 1
    assert await pool.fetchval("SELECT count(*) FROM stream.offsets") == counts[0] * len(TOPICS)


async def test_readers_have_a_position_before_they_first_run_and_keep_the_one_they_have(world: PostgresWorld) -> None:
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    moved = {ACTIVITY: Position(5, {"ingest/0": 5})}
    async with claim.step(moved, claim.breaker):
        pass
    async with world.pool.acquire() as connection:
        await register_readers(connection, READERS, PARTITIONS)
        await register_readers(connection, READERS, PARTITIONS)
    async with claim.step(moved, claim.breaker):
        pass
    for service, topics in READERS.items():
        for partition in range(PARTITIONS):
            owner = await world.carrier.claim(Slot(service, "partition", partition), topics)
            expected = moved if owner.slot == SLOT else dict.fromkeys(topics, Position(0, {}))
            assert owner.positions == expected
            await owner.release()
