"""A former owner that was paused, wherever, and goes on after its successor took over: it commits before, or never."""

import asyncio
from collections.abc import Sequence
from typing import Literal

import pytest
from builders import NOON, an_event, eventually
from contract.runner_world import SLOT, Gate, NameKeeper, Service, TickKeeper, a_service, keeps, kept, post, running
from contract.worlds import World, all_on, assert_numbers_are_whole, count_on, names
from prometheus_client import CollectorRegistry

from shared.errors import Unavailable
from shared.events.envelope import Outgoing
from shared.events.topics import ACTIVITY, DEAD_LETTER, SCORE
from shared.stream import dead_letter
from shared.stream.carrier import Transaction
from shared.stream.lane import LanePublisher
from shared.stream.metrics import Metrics

Place = Literal["step", "tick", "replay"]
PLACES: tuple[Place, ...] = ("step", "tick", "replay")
APPLIED = {"step": "event", "tick": "tick", "replay": "poison"}


async def a_replay_is_asked_for(world: World) -> None:
    """A dead letter of an earlier owner lies there."""
    await post(world, "poison")
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    [record] = await claim.fetch([ACTIVITY], 1)
    letter = dead_letter.of(record, service="scoring", kind="Poison", error=ValueError(), at=NOON)
    moved = {ACTIVITY: claim.positions[ACTIVITY]._replace(offset=1, seqs={record.emitter or "": 1})}
    async with claim.step(moved, claim.breaker) as transaction:
        await transaction.bury([letter])
    await claim.release()
    assert await world.carrier.ask_replay(letter.id)


async def with_something_to_do(world: World, place: Place) -> tuple[Service, TickKeeper]:
    """A service that will do one thing, by a step, by a tick or by a replay."""
    ticker = TickKeeper(world, due=1 if place == "tick" else 0)
    if place == "step":
        await post(world, "event")
    if place == "replay":
        await a_replay_is_asked_for(world)
    return a_service(world, ticker=ticker), ticker


class PausedLane:
    """A lane publisher whose `prepare` can be paused in mid-commit."""

    def __init__(self, world: World) -> None:
        self.gate = Gate()
        self.publisher = LanePublisher(world.carrier, "ingest", self.prepare, metrics=Metrics(CollectorRegistry()))

    async def prepare(self, transaction: Transaction, items: Sequence[str]) -> tuple[list[Outgoing], Sequence[str]]:
        await self.gate.passed()
        return [Outgoing(ACTIVITY, an_event(item)) for item in items], items


class RunnerOwnerContract:
    @pytest.mark.parametrize("place", PLACES)
    async def test_paused_in_mid_step_it_commits_before_its_successor_reads(self, world: World, place: Place) -> None:
        former, ticker = await with_something_to_do(world, place)
        gate = ticker.gate if place == "tick" else former.handler.gate
        gate.close()
        async with running(former):
            await gate.reached.wait()
            take_over = asyncio.create_task(world.carrier.claim(SLOT, [ACTIVITY]))
            await eventually(world.a_take_over_waits)
            assert not take_over.done()
            gate.open()
            successor = await take_over
            assert await kept(world) == [APPLIED[place]]
            assert not await successor.fetch([ACTIVITY], 5)
            assert not await successor.replays()
            await post(world, "next")
            await eventually(lambda: former.runner.state == "lost")
        await successor.release()
        async with running(a_service(world)):
            await keeps(world, [APPLIED[place], "next"])
        assert await count_on(world.carrier, SCORE, 0) == 2
        await assert_numbers_are_whole(world, [SCORE])

    @pytest.mark.parametrize("place", PLACES)
    async def test_paused_before_its_step_it_never_commits(self, world: World, place: Place) -> None:
        ticker = TickKeeper(world)
        former = a_service(world, ticker=ticker)
        if place != "step":
            former, ticker = await with_something_to_do(world, place)
        ticker.before.close()
        async with running(former):
            await ticker.before.reached.wait()
            successor = await world.carrier.claim(SLOT, [ACTIVITY])
            if place == "step":
                await post(world, "event")
            ticker.before.open()
            await eventually(lambda: former.runner.state == "lost")
            assert await kept(world) == []
            assert await count_on(world.carrier, SCORE, 0) == 0
            assert former.metric("accord_stream_epoch_losses_total") == 1
            if place == "replay":
                assert [names([letter.record]) for letter in await successor.replays()] == [["poison"]]
        await successor.release()
        async with running(a_service(world, ticker=TickKeeper(world, due=int(place == "tick")))):
            await eventually(lambda: self._is_kept(world, APPLIED[place]))
        assert (await kept(world)).count(APPLIED[place]) == 1

    @staticmethod
    async def _is_kept(world: World, name: str) -> bool:
        return name in await kept(world)

    async def test_of_two_runners_of_one_partition_the_later_one_goes_on(self, world: World) -> None:
        former, successor = a_service(world), a_service(world)
        async with running(former):
            await post(world, "a")
            await keeps(world, ["a"])
            async with running(successor):
                await eventually(lambda: successor.runner.state == "running")
                for n in range(10):
                    await post(world, f"{n}")
                await keeps(world, ["a", *(f"{n}" for n in range(10))])
                await eventually(lambda: former.runner.state == "lost")
        assert successor.runner.state == "ended"
        await assert_numbers_are_whole(world, [SCORE])

    async def test_a_former_owner_buries_nothing(self, world: World) -> None:
        def fail(batch: list[str]) -> None:
            raise ValueError("a bug")

        ticker = TickKeeper(world)
        ticker.before.close()
        former = a_service(world, handler=NameKeeper(world, fail), ticker=ticker)
        async with running(former):
            await ticker.before.reached.wait()
            await world.carrier.claim(SLOT, [ACTIVITY])
            await post(world, "event")
            ticker.before.open()
            await eventually(lambda: former.runner.state == "lost")
        assert (await world.letters(), await count_on(world.carrier, DEAD_LETTER, 0)) == (0, 0)

    async def test_a_lane_paused_in_mid_commit_commits_before_its_successor(self, world: World) -> None:
        lane = PausedLane(world)
        run = asyncio.create_task(lane.publisher.run())
        await eventually(lambda: lane.publisher.is_ready)
        lane.gate.close()
        first = asyncio.create_task(lane.publisher.publish("first"))
        await lane.gate.reached.wait()
        slot = SLOT._replace(service="ingest", kind="lane", number=0)
        take_over = asyncio.create_task(world.carrier.claim(slot))
        await eventually(world.a_take_over_waits)
        lane.gate.open()
        assert await first == "first"
        await take_over
        with pytest.raises(Unavailable):
            await lane.publisher.publish("refused")
        assert names(await all_on(world, ACTIVITY, 0)) == ["first"]
        await eventually(lambda: lane.publisher.is_ready)
        assert await lane.publisher.publish("second") == "second"
        assert [record.emitter for record in await all_on(world, ACTIVITY, 0)] == ["ingest/0", "ingest/1"]
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await assert_numbers_are_whole(world, [ACTIVITY])
