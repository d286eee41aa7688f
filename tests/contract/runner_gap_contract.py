"""What the runner promises about a partition that waits for missing numbers: who says so, and until when."""

from builders import an_event, eventually
from contract.runner_world import SLOT, a_service, running
from contract.worlds import World

from shared.events.topics import ACTIVITY


class RunnerGapContract:
    async def test_an_owner_that_lost_its_partition_says_nothing_of_its_gap(self, world: World) -> None:
        await world.put(ACTIVITY, 0, [("ingest/7", 2, an_event("b"))])
        service = a_service(world)
        async with running(service):
            await eventually(lambda: service.metric("accord_stream_gaps", partition="0") == 1)
            await world.carrier.claim(SLOT, [ACTIVITY])
            await eventually(lambda: service.runner.state == "lost")
        assert service.metric("accord_stream_gaps", partition="0") == 0
