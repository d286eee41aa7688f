"""What the runner promises while all goes well: order, batches, duplicates, gaps, ticks."""

import asyncio
from datetime import timedelta

from builders import NOON, an_event, eventually
from contract.runner_world import NameKeeper, TickKeeper, a_service, keeps, kept, post, running
from contract.worlds import World, all_on, assert_numbers_are_whole, count_on, emit, names

from shared.errors import AlreadyApplied
from shared.events.topics import ACTIVITY, SALES, SCORE


class RunnerLineContract:
    async def test_events_are_applied_once_in_order_and_what_they_cause_is_emitted(self, world: World) -> None:
        numbers = [f"{n:03}" for n in range(60)]
        await post(world, *numbers[:30])
        service = a_service(world, limit=7)
        async with running(service):
            await post(world, *numbers[30:])
            await keeps(world, numbers)
        scores = await all_on(world, SCORE, 0)
        assert names(scores) == [f"score of {name}" for name in numbers]
        assert {record.emitter for record in scores} == {"scoring/0"}
        assert await world.carrier.position("scoring", ACTIVITY, 0) == 60
        assert service.runner.state == "ended"
        assert service.metric("accord_stream_events_in_total", type="accord.activity") == 60
        await assert_numbers_are_whole(world, [ACTIVITY, SCORE])

    async def test_a_restarted_runner_goes_on_where_the_last_one_stood(self, world: World) -> None:
        for turn in range(3):
            await post(world, f"{turn}.a", f"{turn}.b")
            async with running(a_service(world)):
                await keeps(world, [f"{n}.{x}" for n in range(turn + 1) for x in "ab"])
        await assert_numbers_are_whole(world, [SCORE])

    async def test_a_lone_event_goes_through_at_once_and_a_backlog_in_batches(self, world: World) -> None:
        backlog = [f"{n:02}" for n in range(25)]
        await post(world, *backlog)
        service = a_service(world, limit=10)
        async with running(service):
            await keeps(world, backlog)
            await post(world, "alone")
            await keeps(world, [*backlog, "alone"])
        assert service.handler.batches == [backlog[:10], backlog[10:20], backlog[20:], ["alone"]]
        assert service.metric("accord_stream_batch_limit_reached_total") == 2

    async def test_a_batch_of_two_topics_is_bounded_and_in_the_order_received(self, world: World) -> None:
        lane = await world.carrier.claim_lane("ingest")
        times = [NOON + timedelta(seconds=n) for n in range(8)]
        for topic, first in ((ACTIVITY, 0), (SALES, 1)):
            await emit(lane, *(an_event(f"{n}", received_at=times[n]) for n in range(first, 8, 2)), topic=topic)
        service = a_service(world, topics=(ACTIVITY, SALES), limit=4)
        async with running(service):
            await keeps(world, [f"{n}" for n in range(8)])
        assert [len(batch) for batch in service.handler.batches] == [4, 4]

    async def test_events_applied_before_are_dropped_and_only_those(self, world: World) -> None:
        before = {"2", "3", "7", "9"}

        def refuse(batch: list[str]) -> None:
            if found := before.intersection(batch):
                raise AlreadyApplied([an_event(name).id for name in found])

        await post(world, *(f"{n}" for n in range(10)))
        service = a_service(world, handler=NameKeeper(world, refuse))
        async with running(service):
            await keeps(world, ["0", "1", "4", "5", "6", "8"])
            await eventually(lambda: service.metric("accord_stream_duplicates_total") == 4)
            await post(world, "10")
            await keeps(world, ["0", "1", "4", "5", "6", "8", "10"])
        assert await world.carrier.position("scoring", ACTIVITY, 0) == 11
        assert await world.letters() == 0

    async def test_a_batch_applied_before_as_a_whole_is_passed_over(self, world: World) -> None:
        def refuse(batch: list[str]) -> None:
            raise AlreadyApplied([an_event(name).id for name in batch])

        await post(world, "0", "1")
        async with running(a_service(world, handler=NameKeeper(world, refuse))):
            await eventually(lambda: self._has_read(world, 2))
        assert await kept(world) == []

    @staticmethod
    async def _has_read(world: World, offset: int) -> bool:
        return await world.carrier.position("scoring", ACTIVITY, 0) == offset

    async def test_a_gap_stops_the_partition_until_the_missing_numbers_arrive(self, world: World) -> None:
        events = {name: an_event(name) for name in "abcdef"}
        await world.put(ACTIVITY, 0, [("ingest/7", 1, events["a"]), ("ingest/7", 4, events["d"])])
        await world.put(ACTIVITY, 0, [("ingest/8", 1, events["e"])])
        ticker = TickKeeper(world)
        service = a_service(world, ticker=ticker)
        async with running(service):
            await eventually(lambda: service.runner.state == "gap")
            assert service.metric("accord_stream_gaps", partition="0") == 1
            ticker.due = 1
            assert await kept(world) == ["a"]
            assert await self._has_read(world, 1)
            # The relay goes back to the first number that is missing, and sends again all from there on.
            again = [(2, "b"), (3, "c"), (4, "d")]
            await world.put(ACTIVITY, 0, [("ingest/7", seq, events[name]) for seq, name in again])
            await keeps(world, ["a", "e", "b", "c", "d", "tick"])
            await eventually(lambda: service.runner.state == "running")
            assert service.metric("accord_stream_gaps", partition="0") == 0
            await world.put(ACTIVITY, 0, [("ingest/7", 5, events["f"])])
            await keeps(world, ["a", "e", "b", "c", "d", "tick", "f"])

    async def test_what_is_not_above_the_position_is_dropped(self, world: World) -> None:
        events = {name: an_event(name) for name in "abc"}
        order = [(1, "a"), (2, "b"), (1, "a"), (2, "b"), (3, "c"), (3, "c")]
        await world.put(ACTIVITY, 0, [("ingest/7", seq, events[name]) for seq, name in order])
        service = a_service(world)
        async with running(service):
            await keeps(world, ["a", "b", "c"])
            await eventually(lambda: self._has_read(world, 6))
            await eventually(lambda: service.metric("accord_stream_duplicates_total") == 3)
            await world.put(ACTIVITY, 0, [("ingest/7", 3, events["c"])])
            await eventually(lambda: self._has_read(world, 7))
        assert await kept(world) == ["a", "b", "c"]

    async def test_duplicates_before_a_gap_are_passed_over_but_not_the_gap(self, world: World) -> None:
        events = {name: an_event(name) for name in "abc"}
        await world.put(ACTIVITY, 0, [("ingest/7", 1, events["a"])])
        service = a_service(world)
        async with running(service):
            await keeps(world, ["a"])
        await world.put(ACTIVITY, 0, [("ingest/7", 1, events["a"]), ("ingest/7", 3, events["c"])])
        service = a_service(world)
        async with running(service):
            await eventually(lambda: service.runner.state == "gap")
            assert await self._has_read(world, 2)
            await world.put(ACTIVITY, 0, [("ingest/7", 2, events["b"]), ("ingest/7", 3, events["c"])])
            await keeps(world, ["a", "b", "c"])

    async def test_a_tick_saves_and_emits_and_moves_no_position(self, world: World) -> None:
        ticker = TickKeeper(world, due=2)
        service = a_service(world, ticker=ticker)
        async with running(service):
            await keeps(world, ["tick", "tick"])
            await post(world, "event")
            await keeps(world, ["tick", "tick", "event"])
            ticker.due = 1
            service.runner._carrier.wake(service.runner.slot)
            await keeps(world, ["tick", "tick", "event", "tick"])
        assert await self._has_read(world, 1)
        await assert_numbers_are_whole(world, [SCORE])
        assert await count_on(world.carrier, SCORE, 0) == 4

    async def test_a_runner_that_is_cancelled_ends_and_its_partition_can_be_taken(self, world: World) -> None:
        service = a_service(world)
        service.handler.gate.close()
        await post(world, "cancelled in mid-step")
        task = asyncio.create_task(service.runner.run())
        await service.handler.gate.reached.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert await kept(world) == []
        async with running(a_service(world)):
            await keeps(world, ["cancelled in mid-step"])
