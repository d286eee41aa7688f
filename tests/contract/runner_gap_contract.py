"""What the runner promises about a partition that waits for missing numbers: who says so, until when, and how an
operator lets it go on without them."""

from builders import an_event, eventually
from contract.runner_world import SLOT, Service, a_service, keeps, kept, running
from contract.worlds import World

from shared.events.topics import ACTIVITY
from shared.stream.carrier import Missing

MISSING = Missing(ACTIVITY, "ingest/7", 2, 4)


async def put(world: World, **numbers: int) -> None:
    """Puts events of these names on the partition, with these numbers of one emitter."""
    await world.put(ACTIVITY, 0, [("ingest/7", number, an_event(name)) for name, number in numbers.items()])


async def waits_for(world: World, missing: Missing | None) -> None:
    async def so_it_says() -> bool:
        return await world.carrier.gap("scoring", 0) == missing

    await eventually(so_it_says, within=10)


async def skip(world: World, missing: Missing = MISSING) -> bool:
    return await world.carrier.skip("scoring", 0, missing, "operator")


def is_shown(service: Service) -> bool:
    return service.metric("accord_stream_gaps", partition="0") == 1


class RunnerGapContract:
    async def test_an_owner_that_lost_its_partition_says_nothing_of_its_gap(self, world: World) -> None:
        await put(world, b=2)
        service = a_service(world)
        async with running(service):
            await eventually(lambda: is_shown(service))
            await world.carrier.claim(SLOT, [ACTIVITY])
            await eventually(lambda: service.runner.state == "lost")
        assert not is_shown(service)
        assert await world.carrier.gap("scoring", 0) is None

    async def test_an_owner_writes_down_what_is_missing_until_it_comes(self, world: World) -> None:
        await put(world, a=1, d=4)
        async with running(a_service(world)):
            await waits_for(world, MISSING)
            await put(world, b=2, c=3, d=4)
            await waits_for(world, None)
            await keeps(world, ["a", "b", "c", "d"])

    async def test_a_partition_goes_on_without_what_was_skipped(self, world: World) -> None:
        await put(world, a=1, d=4)
        service = a_service(world)
        async with running(service):
            await waits_for(world, MISSING)
            await put(world, e=5)
            assert await skip(world)
            await eventually(lambda: service.runner.state == "running", within=10)
            await keeps(world, ["a", "d", "e"])
            assert not is_shown(service)
            assert await world.carrier.gap("scoring", 0) is None
            await put(world, f=6)
            await keeps(world, ["a", "d", "e", "f"])

    async def test_what_was_skipped_and_comes_after_all_is_dropped(self, world: World) -> None:
        await put(world, a=1, d=4)
        service = a_service(world)
        async with running(service):
            await waits_for(world, MISSING)
            assert await skip(world)
            await eventually(lambda: service.runner.state == "running", within=10)
            await put(world, b=2, c=3, e=5)
            await keeps(world, ["a", "d", "e"])

    async def test_a_skip_is_refused_when_the_partition_waits_for_something_else(self, world: World) -> None:
        await put(world, a=1, d=4)
        async with running(a_service(world)):
            await waits_for(world, MISSING)
            for other in (
                MISSING._replace(found=3),
                MISSING._replace(expected=1),
                MISSING._replace(emitter="ingest/8"),
            ):
                assert not await skip(world, other)
            assert await skip(world)
            assert not await skip(world)

    async def test_gaps_are_skipped_one_by_one(self, world: World) -> None:
        await put(world, b=2, d=4)
        service = a_service(world)
        async with running(service):
            await waits_for(world, Missing(ACTIVITY, "ingest/7", 1, 2))
            assert await skip(world, Missing(ACTIVITY, "ingest/7", 1, 2))
            await waits_for(world, Missing(ACTIVITY, "ingest/7", 3, 4))
            assert await kept(world) == ["b"]
            assert await skip(world, Missing(ACTIVITY, "ingest/7", 3, 4))
            await eventually(lambda: service.runner.state == "running", within=10)
            await keeps(world, ["b", "d"])

    async def test_a_gap_can_be_skipped_while_nobody_runs_the_partition(self, world: World) -> None:
        await put(world, a=1, d=4)
        async with running(a_service(world)):
            await waits_for(world, MISSING)
        assert await skip(world)
        async with running(a_service(world)):
            await keeps(world, ["a", "d"])
