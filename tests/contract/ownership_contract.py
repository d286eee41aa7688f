"""What every carrier promises about owners: one at a time, fenced by its epoch, and everything of a step or nothing."""

import asyncio

import pytest
from builders import NOON, an_event, eventually
from contract.worlds import World, all_on, count_on, emit, names

from shared.errors import OwnershipLost, PositionsMoved
from shared.events.envelope import Outgoing
from shared.events.topics import ACTIVITY, SALES, SCORE
from shared.stream import dead_letter
from shared.stream.breaker import Breaker
from shared.stream.carrier import Claim, Position, Slot, Transaction

SLOT = Slot("scoring", "partition", 0)
MOVED = {ACTIVITY: Position(7, {"ingest/0": 7})}


class Broken(Exception):
    """What a step raises in these tests."""


async def change_everything(world: World, transaction: Transaction) -> None:
    await world.save(transaction, "state", "changed")
    await transaction.emit([Outgoing(SCORE, an_event("emitted"))])


async def a_letter(claim: Claim) -> dead_letter.DeadLetter:
    """Buries the last event on the activity topic."""
    record = (await claim.fetch([ACTIVITY], 100))[-1]
    letter = dead_letter.of(record, service=claim.slot.service, kind="ValueError", error=ValueError("bad"), at=NOON)
    async with claim.step(claim.positions, claim.breaker) as transaction:
        await transaction.bury([letter])
    return letter


async def assert_nothing_changed(world: World) -> None:
    assert await world.saved() == []
    assert await count_on(world.carrier, SCORE, 0) == 0
    assert await world.carrier.position("scoring", ACTIVITY, 0) == 0


class OwnershipContract:
    async def test_each_claim_of_a_slot_has_a_higher_epoch(self, world: World) -> None:
        first = await world.carrier.claim(SLOT, [ACTIVITY])
        second = await world.carrier.claim(SLOT, [ACTIVITY])
        await second.release()
        third = await world.carrier.claim(SLOT, [ACTIVITY])
        other = await world.carrier.claim(SLOT._replace(number=1), [ACTIVITY])
        assert first.epoch < second.epoch < third.epoch
        assert other.epoch == first.epoch

    async def test_a_slot_claimed_for_the_first_time_starts_before_everything(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY, SALES])
        assert claim.slot == SLOT
        assert claim.positions == {ACTIVITY: Position(0, {}), SALES: Position(0, {})}
        assert claim.breaker == Breaker()

    async def test_a_claim_keeps_positions_and_adds_topics_that_are_new(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        async with claim.step(MOVED, claim.breaker):
            pass
        assert (await world.carrier.claim(SLOT, [ACTIVITY, SALES])).positions == {**MOVED, SALES: Position(0, {})}

    async def test_a_former_claims_step_leaves_nothing(self, world: World) -> None:
        former = await world.carrier.claim(SLOT, [ACTIVITY])
        successor = await world.carrier.claim(SLOT, [ACTIVITY])
        with pytest.raises(OwnershipLost):
            async with former.step(MOVED, Breaker(in_a_row=1, applied=1, letters=(1,))) as transaction:
                await change_everything(world, transaction)
        await assert_nothing_changed(world)
        await successor.reload()
        assert (successor.positions, successor.breaker) == ({ACTIVITY: Position(0, {})}, Breaker())

    async def test_a_former_claims_tick_leaves_nothing_though_it_moves_no_position(self, world: World) -> None:
        former = await world.carrier.claim(SLOT, [ACTIVITY])
        await world.carrier.claim(SLOT, [ACTIVITY])
        with pytest.raises(OwnershipLost):
            async with former.step(former.positions, former.breaker) as transaction:
                await change_everything(world, transaction)
        await assert_nothing_changed(world)

    async def test_a_former_claims_replay_leaves_the_letter_to_its_successor(self, world: World) -> None:
        former = await world.carrier.claim(SLOT, [ACTIVITY])
        await emit(former, an_event("poison"))
        letter = await a_letter(former)
        assert await world.carrier.ask_replay(letter.id)
        assert await former.replays() == [letter]
        successor = await world.carrier.claim(SLOT, [ACTIVITY])
        with pytest.raises(OwnershipLost):
            async with former.step(former.positions, former.breaker) as transaction:
                await change_everything(world, transaction)
                await transaction.mark_replayed(letter.id)
        await assert_nothing_changed(world)
        assert await successor.replays() == [letter]

    async def test_a_former_lanes_commit_leaves_nothing(self, world: World) -> None:
        former = await world.carrier.claim_lane("ingest")
        await emit(former, an_event("first"))
        successor = await world.carrier.claim(former.slot)
        with pytest.raises(OwnershipLost):
            await emit(former, an_event("second"))
        await emit(successor, an_event("third"))
        records = await all_on(world, ACTIVITY, 0)
        assert names(records) == ["first", "third"]
        assert [(record.emitter, record.seq) for record in records] == [("ingest/0", 1), ("ingest/0", 2)]

    async def test_a_former_claim_can_not_reload(self, world: World) -> None:
        former = await world.carrier.claim(SLOT, [ACTIVITY])
        await world.carrier.claim(SLOT, [ACTIVITY])
        with pytest.raises(OwnershipLost):
            await former.reload()

    async def test_giving_back_what_a_successor_took_disturbs_nobody(self, world: World) -> None:
        former = await world.carrier.claim_lane("ingest")
        successor = await world.carrier.claim(former.slot)
        await former.release()
        await emit(successor, an_event("goes on"))
        assert (await world.carrier.claim_lane("ingest")).slot.number == 1

    async def test_a_step_from_positions_that_moved_is_refused_until_they_are_read_afresh(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        await world.move_positions(SLOT, MOVED)
        with pytest.raises(PositionsMoved):
            async with claim.step({ACTIVITY: Position(1, {})}, claim.breaker) as transaction:
                await change_everything(world, transaction)
        assert await world.saved() == []
        await claim.reload()
        assert claim.positions == MOVED
        async with claim.step({ACTIVITY: Position(8, {"ingest/0": 8})}, claim.breaker) as transaction:
            await change_everything(world, transaction)
        assert await world.saved() == [("state", "changed")]

    async def test_a_take_over_waits_for_the_commit_in_flight(self, world: World) -> None:
        former = await world.carrier.claim(SLOT, [ACTIVITY])
        entered, go = asyncio.Event(), asyncio.Event()

        async def commit_slowly() -> None:
            async with former.step(MOVED, Breaker(1, 1, (1,))) as transaction:
                await change_everything(world, transaction)
                entered.set()
                await go.wait()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(commit_slowly())
            await entered.wait()
            take_over = tasks.create_task(world.carrier.claim(SLOT, [ACTIVITY]))
            await eventually(world.a_take_over_waits)
            assert not take_over.done()
            go.set()
        successor = take_over.result()
        assert (successor.positions, successor.breaker) == (MOVED, Breaker(1, 1, (1,)))
        async with successor.step(successor.positions, successor.breaker) as transaction:
            await transaction.emit([Outgoing(SCORE, an_event("next"))])
        assert [record.seq for record in await all_on(world, SCORE, 0)] == [1, 2]

    async def test_a_step_that_fails_changes_nothing_and_the_next_one_goes_through(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        for _ in range(3):
            with pytest.raises(Broken):
                async with claim.step(MOVED, Breaker(1, 1, (1,))) as transaction:
                    await change_everything(world, transaction)
                    raise Broken
        await assert_nothing_changed(world)
        assert (claim.positions, claim.breaker) == ({ACTIVITY: Position(0, {})}, Breaker())
        async with claim.step(MOVED, claim.breaker) as transaction:
            await change_everything(world, transaction)
        assert claim.positions == MOVED
        assert [(record.offset, record.seq) for record in await all_on(world, SCORE, 0)] == [(0, 1)]

    async def test_a_step_that_is_cancelled_changes_nothing(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        entered = asyncio.Event()

        async def hang() -> None:
            async with claim.step(MOVED, claim.breaker) as transaction:
                await change_everything(world, transaction)
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hang())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await assert_nothing_changed(world)
        await claim.reload()
        async with claim.step(MOVED, claim.breaker) as transaction:
            await change_everything(world, transaction)
        assert await world.saved() == [("state", "changed")]

    async def test_a_letter_buried_or_replayed_by_a_step_that_fails_is_as_it_was(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        await emit(claim, an_event("poison"), an_event("poison too"))
        letter = await a_letter(claim)
        await world.carrier.ask_replay(letter.id)
        other = letter._replace(id=letter.record.event.id)
        with pytest.raises(Broken):
            async with claim.step(claim.positions, claim.breaker) as transaction:
                await transaction.bury([other])
                await transaction.mark_replayed(letter.id)
                raise Broken
        assert await claim.replays() == [letter]
        assert not await world.carrier.ask_replay(other.id)
