"""What every carrier promises to keep: lanes and who holds them, the breaker, dead letters and their replay."""

import asyncio

import pytest
from builders import NOON, an_event
from contract.worlds import World, all_on, count_on, emit

from shared.errors import OwnershipLost
from shared.events.envelope import Event, Outgoing, Record
from shared.events.topics import ACTIVITY
from shared.stream import dead_letter
from shared.stream.breaker import Breaker
from shared.stream.carrier import Position, Slot

SLOT = Slot("scoring", "partition", 2)


def letter_of(event: Event, *, service: str = "scoring", partition: int = 2, offset: int = 5) -> dead_letter.DeadLetter:
    record = Record(ACTIVITY, partition, offset, "ingest/0", 6, event)
    return dead_letter.of(record, service=service, kind="ValueError", error=ValueError("not a number"), at=NOON)


class KeepingContract:
    async def test_two_publishers_get_two_lanes_from_zero_on(self, world: World) -> None:
        lanes = [await world.carrier.claim_lane("ingest") for _ in range(3)]
        assert [lane.slot for lane in lanes] == [Slot("ingest", "lane", number) for number in range(3)]
        assert (await world.carrier.claim_lane("api")).slot == Slot("api", "lane", 0)

    async def test_publishers_that_start_at_once_get_a_lane_each(self, world: World) -> None:
        lanes = await asyncio.gather(*(world.carrier.claim_lane("ingest") for _ in range(6)))
        assert sorted(lane.slot.number for lane in lanes) == list(range(6))
        for lane in lanes:
            await emit(lane, an_event(lane.slot.emitter))
        assert sorted(record.seq or 0 for record in await all_on(world, ACTIVITY, 0)) == [1] * 6

    async def test_the_lowest_lane_given_back_is_taken_next_and_its_numbers_go_on(self, world: World) -> None:
        lanes = [await world.carrier.claim_lane("ingest") for _ in range(4)]
        await emit(lanes[1], an_event("one"), an_event("two"))
        for lane in (lanes[3], lanes[1]):
            await lane.release()
        again = await world.carrier.claim_lane("ingest")
        assert again.slot.number == 1
        await emit(again, an_event("three"))
        assert [record.seq for record in await all_on(world, ACTIVITY, 0)] == [1, 2, 3]
        assert (await world.carrier.claim_lane("ingest")).slot.number == 3
        assert (await world.carrier.claim_lane("ingest")).slot.number == 4

    async def test_a_lane_and_a_partition_of_one_number_are_owned_apart(self, world: World) -> None:
        lane = await world.carrier.claim_lane("scoring")
        partition = await world.carrier.claim(Slot("scoring", "partition", lane.slot.number))
        await emit(lane, an_event("by the lane"))
        await partition.reload()

    async def test_positions_and_breaker_survive_a_new_claim(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        positions = {ACTIVITY: Position(2**40, {"ingest/0": 2**40, 'a service/with "quotes"/3': 1})}
        breaker = Breaker(21, 1_500, (1_400, 1_500), True, "1.2.3")
        async with claim.step(positions, breaker):
            pass
        await claim.release()
        again = await world.carrier.claim(SLOT, [ACTIVITY])
        assert (again.positions, again.breaker) == (positions, breaker)
        async with again.step(again.positions, Breaker()):
            pass
        await again.reload()
        assert (again.positions, again.breaker) == (positions, Breaker())

    async def test_resume_ends_a_stop_once_and_nothing_else(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        assert not await world.carrier.resume("scoring", 2)
        running = Breaker(3, 3, (1, 2, 3))
        async with claim.step(claim.positions, running):
            pass
        assert not await world.carrier.resume("scoring", 2)
        await claim.reload()
        assert claim.breaker == running
        async with claim.step(claim.positions, Breaker(21, 21, (21,), True, "1")):
            pass
        assert not await world.carrier.resume("scoring", 1)
        assert await world.carrier.resume("scoring", 2)
        assert not await world.carrier.resume("scoring", 2)
        await claim.reload()
        assert claim.breaker == Breaker()

    async def test_a_letter_is_replayed_when_asked_for_and_comes_back_to_the_last_bit(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        plain = an_event("plain", partition=2)
        full = plain._replace(
            id=plain.key, value=bytes(range(256)), accord=7, cause=plain.id, after=2**40, traceparent="00-ab-cd-01"
        )
        letters = [letter_of(plain, offset=3), letter_of(full)]
        async with claim.step(claim.positions, claim.breaker) as transaction:
            await transaction.bury(letters)
        assert not await claim.replays()
        assert await world.carrier.ask_replay(letters[1].id)
        assert await claim.replays() == [letters[1]]
        assert await world.carrier.ask_replay(letters[0].id)
        assert {letter.id for letter in await claim.replays()} == {letter.id for letter in letters}

    async def test_a_replay_is_asked_for_once_and_closes_the_letter(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        letter = letter_of(an_event("poison"))
        assert not await world.carrier.ask_replay(letter.id)
        async with claim.step(claim.positions, claim.breaker) as transaction:
            await transaction.bury([letter])
        assert await world.carrier.ask_replay(letter.id)
        assert not await world.carrier.ask_replay(letter.id)
        assert await world.letters() == 1
        async with claim.step(claim.positions, claim.breaker) as transaction:
            await transaction.mark_replayed(letter.id)
        assert not await claim.replays()
        assert not await world.carrier.ask_replay(letter.id)
        assert await world.letters() == 0

    async def test_a_letter_buried_again_is_open_again_with_its_new_reason(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        letter = letter_of(an_event("poison"))
        again = letter._replace(kind="KeyError", message="another reason")
        for buried in (letter, again):
            async with claim.step(claim.positions, claim.breaker) as transaction:
                await transaction.bury([buried])
            assert await world.letters() == 1
            assert not await claim.replays()
            assert await world.carrier.ask_replay(letter.id)
        assert await claim.replays() == [again]

    async def test_only_the_owner_of_a_letters_partition_is_asked_to_replay_it(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        others = [
            await world.carrier.claim(slot, [ACTIVITY])
            for slot in (SLOT._replace(number=1), SLOT._replace(service="stages"))
        ]
        letter = letter_of(an_event("poison"))
        async with claim.step(claim.positions, claim.breaker) as transaction:
            await transaction.bury([letter])
        await world.carrier.ask_replay(letter.id)
        assert [list(await owner.replays()) for owner in (claim, *others)] == [[letter], [], []]

    async def test_what_waits_for_a_commit_is_called_after_it_and_never_without_one(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        called: list[str] = []

        async with claim.step(claim.positions, claim.breaker) as transaction:
            assert transaction.epoch == claim.epoch
            transaction.on_commit(lambda: called.append("first"))
            assert called == []
        assert called == ["first"]

        with pytest.raises(ZeroDivisionError):
            async with claim.step(claim.positions, claim.breaker) as transaction:
                transaction.on_commit(lambda: called.append("rolled back"))
                raise ZeroDivisionError
        successor = await world.carrier.claim(SLOT, [ACTIVITY])
        with pytest.raises(OwnershipLost):
            async with claim.step(claim.positions, claim.breaker) as transaction:
                transaction.on_commit(lambda: called.append("lost"))
        assert called == ["first"]
        await successor.release()

    async def test_a_second_emission_in_one_transaction_is_refused_and_nothing_of_it_stays(self, world: World) -> None:
        claim = await world.carrier.claim(SLOT, [ACTIVITY])
        with pytest.raises(RuntimeError):
            async with claim.step(claim.positions, claim.breaker) as transaction:
                await transaction.emit([Outgoing(ACTIVITY, an_event("once"))])
                await transaction.emit([Outgoing(ACTIVITY, an_event("twice"))])
        assert await count_on(world.carrier, ACTIVITY, 0) == 0
