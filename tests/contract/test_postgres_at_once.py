"""A step that is one statement keeps the promises of one that was opened: its fence, its numbers, all or nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from builders import an_event, eventually
from contract.worlds import PostgresWorld, all_on, assert_numbers_are_whole

from shared.db.statement import Write
from shared.errors import OwnershipLost, PositionsMoved, Surroundings
from shared.events.envelope import Outgoing
from shared.events.topics import ACTIVITY, DEAD_LETTER, SCORE, TOPICS
from shared.stream.breaker import Breaker
from shared.stream.carrier import Position, Slot, Transaction
from shared.stream.faults import is_poison

SLOT = Slot("scoring", "partition", 0)
MOVED = {ACTIVITY: Position(7, {"ingest/0": 7})}
KEEP = "made AS (INSERT INTO kept (key, value) VALUES ($1::text, $2::text) RETURNING 1)"
MADE = "SELECT count(*) FROM made"


@pytest.fixture
async def world(database_url: str, pool: Any) -> AsyncIterator[PostgresWorld]:
    world = await PostgresWorld.open(database_url, pool)
    yield world
    world.close()


async def change_everything(transaction: Transaction, name: str = "event") -> None:
    transaction.add(Write(KEEP, ("state", name)))
    await transaction.put([Outgoing(SCORE, an_event(name)), Outgoing(DEAD_LETTER, an_event(f"{name} 2", partition=3))])


async def assert_nothing_changed(world: PostgresWorld) -> None:
    assert await world.saved() == []
    assert await world.carrier.end(SCORE, 0) == {}
    assert await world.pool.fetchval("SELECT max(positions #>> '{accord.activity.v1,0}') FROM stream.ownership") == "0"


async def test_its_writes_events_positions_and_breaker_happen_together(world: PostgresWorld) -> None:
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    told: list[str] = []
    async with claim.step(MOVED, Breaker(1, 1, (1,)), at_once=True) as transaction:
        await change_everything(transaction)
        transaction.on_commit(lambda: told.append("committed"))
        await assert_nothing_changed(world)
    assert (await world.saved(), told) == ([("state", "event")], ["committed"])
    assert [(record.offset, record.seq) for record in await all_on(world, SCORE, 0)] == [(0, 1)]
    assert [(record.offset, record.seq) for record in await all_on(world, DEAD_LETTER, 3)] == [(0, 1)]
    await claim.reload()
    assert (claim.positions, claim.breaker) == (MOVED, Breaker(1, 1, (1,)))


async def test_numbers_go_on_between_steps_of_both_kinds(world: PostgresWorld) -> None:
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    for number in range(6):
        async with claim.step(claim.positions, claim.breaker, at_once=number % 3 > 0) as transaction:
            if number == 2:
                await transaction.open()
            await change_everything(transaction, f"event {number}")
    assert [record.seq for record in await all_on(world, SCORE, 0)] == [1, 2, 3, 4, 5, 6]
    await assert_numbers_are_whole(world, TOPICS)


async def test_a_former_owners_leaves_nothing(world: PostgresWorld) -> None:
    former = await world.carrier.claim(SLOT, [ACTIVITY])
    await world.carrier.claim(SLOT, [ACTIVITY])
    with pytest.raises(OwnershipLost):
        async with former.step(MOVED, former.breaker, at_once=True) as transaction:
            await change_everything(transaction)
    with pytest.raises(OwnershipLost):
        async with former.step(former.positions, former.breaker, at_once=True):
            pass
    await assert_nothing_changed(world)


async def test_one_from_positions_that_moved_is_refused_until_they_are_read_afresh(world: PostgresWorld) -> None:
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    await world.move_positions(SLOT, MOVED)
    with pytest.raises(PositionsMoved):
        async with claim.step({ACTIVITY: Position(1, {})}, claim.breaker, at_once=True) as transaction:
            await change_everything(transaction)
    assert await world.saved() == []
    await claim.reload()
    async with claim.step({ACTIVITY: Position(8, {"ingest/0": 8})}, claim.breaker, at_once=True) as transaction:
        await change_everything(transaction)
    assert await world.saved() == [("state", "event")]


async def test_a_take_over_waits_for_the_one_in_flight(world: PostgresWorld) -> None:
    """Its fence is locked before anything that it may have to wait for."""
    former = await world.carrier.claim(SLOT, [ACTIVITY])

    async def commit() -> None:
        async with former.step(MOVED, former.breaker, at_once=True) as transaction:
            await change_everything(transaction)

    async with asyncio.TaskGroup() as tasks, world.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM stream.offsets FOR UPDATE")
        step = tasks.create_task(commit())
        await eventually(world.a_take_over_waits)
        take_over = tasks.create_task(world.carrier.claim(SLOT, [ACTIVITY]))
        waiting = "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await eventually(lambda: world.pool.fetchval(waiting))
        assert not step.done()
        assert not take_over.done()
    assert take_over.result().positions == MOVED
    assert await world.saved() == [("state", "event")]


async def test_what_fails_or_is_left_in_it_changes_nothing(world: PostgresWorld) -> None:
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    with pytest.raises(ZeroDivisionError):
        async with claim.step(MOVED, claim.breaker, at_once=True) as transaction:
            await change_everything(transaction)
            raise ZeroDivisionError
    with pytest.raises(asyncpg.DataError) as bad:
        async with claim.step(MOVED, claim.breaker, at_once=True) as transaction:
            transaction.add(Write("bad AS (SELECT 1 / $1::integer AS x)", (0,), "SELECT x FROM bad", 1))
            await change_everything(transaction)
    assert is_poison(bad.value)
    await assert_nothing_changed(world)
    async with claim.step(MOVED, claim.breaker, at_once=True) as transaction:
        await change_everything(transaction)
    assert [(record.offset, record.seq) for record in await all_on(world, SCORE, 0)] == [(0, 1)]


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_write_that_finds_something_else_refuses_all_of_it_and_says_why(
    world: PostgresWorld, at_once: bool
) -> None:
    claim = await world.carrier.claim(SLOT, [ACTIVITY])

    async def explain(connection: Any) -> Exception:
        return LookupError(await connection.fetchval("SELECT count(*)::text FROM kept"))

    for reason, expected in ((explain, LookupError), (None, Surroundings)):
        with pytest.raises(expected) as refused:
            async with claim.step(MOVED, claim.breaker, at_once=at_once) as transaction:
                transaction.add(Write(KEEP, ("a", "1"), MADE, 2, reason))
                transaction.add(Write("other AS (SELECT $1::text)", ("never asked",)))
                await transaction.put([Outgoing(SCORE, an_event("never"))])
        assert reason is None or str(refused.value) == "0"
    await assert_nothing_changed(world)


async def test_nothing_can_be_written_beside_it(world: PostgresWorld) -> None:
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    async with claim.step(MOVED, claim.breaker, at_once=True) as transaction:
        with pytest.raises(RuntimeError):
            await world.save(transaction, "beside", "it")
        assert await transaction.reader.fetchval("SELECT count(*) FROM kept") == 0
        await transaction.open()
        await world.save(transaction, "in", "it")
        await change_everything(transaction)
    assert sorted(await world.saved()) == [("in", "it"), ("state", "event")]


async def test_it_emits_at_most_once(world: PostgresWorld) -> None:
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    with pytest.raises(RuntimeError):
        async with claim.step(MOVED, claim.breaker, at_once=True) as transaction:
            await transaction.emit([Outgoing(SCORE, an_event("once"))])
            await transaction.put([Outgoing(SCORE, an_event("twice"))])
    await assert_nothing_changed(world)


async def test_one_of_a_lane_renews_its_lease(world: PostgresWorld) -> None:
    lane = await world.carrier.claim_lane("ingest")
    await world.pool.execute("UPDATE stream.ownership SET leased_until = now() - interval '1 second'")
    async with lane.step(lane.positions, lane.breaker, at_once=True) as transaction:
        await change_everything(transaction)
    assert await world.pool.fetchval("SELECT leased_until > now() + interval '10 seconds' FROM stream.ownership")


async def test_one_that_was_sent_over_a_lost_connection_never_runs_after_it_was_given_up(world: PostgresWorld) -> None:
    """Not even between steps that move no positions, and so leave its fence as it was."""
    claim = await world.carrier.claim(SLOT, [ACTIVITY])

    async def move(offset: int) -> None:
        async with claim.step({ACTIVITY: Position(offset, {})}, claim.breaker, at_once=True) as transaction:
            await change_everything(transaction, f"move {offset}")

    await move(1)  # from now on it is prepared, and sent whole
    async with world.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE kept IN ACCESS EXCLUSIVE MODE")
        step = asyncio.create_task(move(2))
        await eventually(lambda: world.pool.fetchval("SELECT count(*) = 1 FROM pg_locks WHERE NOT granted"))
        claim._connection.terminate()
        await asyncio.wait([step])
        assert step.exception() is not None
        await claim.reload()
        async with claim.step(claim.positions, claim.breaker) as transaction:
            await transaction.put([Outgoing(SCORE, an_event("tick"))])
    await eventually(lambda: world.pool.fetchval("SELECT count(*) = 0 FROM pg_locks WHERE NOT granted"))
    assert await world.saved() == [("state", "move 1")]
    assert [record.seq for record in await all_on(world, SCORE, 0)] == [1, 2]
    await assert_numbers_are_whole(world, TOPICS)
