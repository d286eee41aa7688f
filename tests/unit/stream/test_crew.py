"""A crew runs what it is told to hold, gives the rest back, and takes again what was taken from it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from builders import NOON, an_event, eventually
from contract.runner_world import Gate
from patience import within
from prometheus_client import CollectorRegistry

from shared.clock import ManualClock
from shared.events.envelope import Outgoing, Record
from shared.events.topics import ACTIVITY
from shared.stream import crew as crew_
from shared.stream.carrier import Slot, Transaction
from shared.stream.crew import Alone, Crew
from shared.stream.memory import MemoryCarrier
from shared.stream.metrics import Metrics
from shared.stream.runner import Runner

PARTITIONS = 4


@dataclass
class House:
    """A crew on a carrier; its handlers pass the gate in mid-step."""

    carrier: MemoryCarrier = field(default_factory=lambda: MemoryCarrier(PARTITIONS))
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    gate: Gate = field(default_factory=Gate)
    made: list[int] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)
    ends: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.registry)
        self.crew = Crew("scoring", self._runner, self.metrics)

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        await self.gate.passed()
        transaction.on_commit(lambda: self.applied.extend(record.event.value.decode() for record in records))
        return ()

    def _runner(self, partition: int) -> Runner:
        self.made.append(partition)
        return Runner(
            carrier=self.carrier,
            slot=Slot("scoring", "partition", partition),
            topics=(ACTIVITY,),
            handler=self,
            clock=ManualClock(NOON),
            metrics=self.metrics,
            release="1",
        )

    def held(self) -> set[int]:
        """What the carrier says is owned."""
        return {slot.number for slot, owned in self.carrier.owned.items() if slot.kind == "partition" and owned.is_held}

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, {"service": "scoring", **labels})

    async def post(self, name: str, partition: int = 0) -> None:
        lane = await self.carrier.claim_lane("ingest")
        async with lane.step(lane.positions, lane.breaker) as transaction:
            await transaction.emit([Outgoing(ACTIVITY, an_event(name, partition=partition))])
        await lane.release()


@asynccontextmanager
async def working() -> AsyncIterator[House]:
    house = House()
    run = asyncio.create_task(house.crew.run())
    try:
        yield house
    finally:
        house.crew.stop()
        async with within(10):
            await run


async def test_it_holds_what_it_is_told_and_gives_back_the_rest() -> None:
    async with working() as house:
        await house.crew.hold([0, 1, 2])
        await eventually(lambda: house.held() == {0, 1, 2})
        kept = house.crew.runners[2]
        await house.crew.hold([2, 3])
        assert set(house.crew.runners) == {2, 3}
        assert house.crew.runners[2] is kept
        await eventually(lambda: house.held() == {2, 3})
        await eventually(lambda: house.metric("accord_stream_partitions_owned") == 2)
    assert (house.held(), dict(house.crew.runners)) == (set(), {})
    assert house.metric("accord_stream_partitions_owned") == 0


async def test_what_is_given_back_finishes_its_step_first() -> None:
    async with working() as house:
        await house.crew.hold([0])
        house.gate.close()
        await house.post("in mid-step")
        await house.gate.reached.wait()
        hold = asyncio.create_task(house.crew.hold([]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(hold), 0.05)
        house.gate.open()
        await hold
        assert (house.applied, house.held()) == (["in mid-step"], set())


async def test_a_step_that_does_not_end_is_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_, "STOP_SECONDS", 0.05)
    async with working() as house:
        await house.crew.hold([0, 1])
        house.gate.close()
        await house.post("endless")
        await house.gate.reached.wait()
        await house.crew.hold([1])
        assert (house.applied, set(house.crew.runners)) == ([], {1})
        house.gate.open()
        await house.crew.hold([0, 1])
        await eventually(lambda: house.applied == ["endless"])


async def test_a_partition_that_was_taken_from_it_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_, "RENEW_SECONDS", 0.01)
    async with working() as house:
        await house.crew.hold([0, 1])
        await eventually(lambda: house.held() == {0, 1})
        await house.carrier.claim(Slot("scoring", "partition", 0))
        await house.post("after the loss")
        await eventually(lambda: house.applied == ["after the loss"])
        assert house.made == [0, 1, 0]
        assert house.metric("accord_stream_epoch_losses_total") == 1


async def test_a_partition_that_was_taken_from_it_and_is_no_longer_its_own_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crew_, "RENEW_SECONDS", 60)
    async with working() as house:
        await house.crew.hold([0])
        await eventually(lambda: house.held() == {0})
        successor = await house.carrier.claim(Slot("scoring", "partition", 0))
        await house.post("the successor's")
        await eventually(lambda: house.crew.runners[0].state == "lost")
        assert house.metric("accord_stream_partitions_owned") == 0
        async with within(5):
            await house.crew.hold([])
        assert house.made == [0]
        async with successor.step(successor.positions, successor.breaker):
            pass


async def test_nothing_is_held_once_it_stops() -> None:
    async with working() as house:
        await house.crew.hold([0])
    await house.crew.hold([0, 1])
    assert (dict(house.crew.runners), house.made) == ({}, [0])


async def test_cancelled_it_ends_at_once_and_gives_everything_back() -> None:
    house = House()
    run = asyncio.create_task(house.crew.run())
    await house.crew.hold([0, 1])
    await eventually(lambda: house.held() == {0, 1})
    house.gate.close()
    await house.post("never")
    await house.gate.reached.wait()
    run.cancel()
    async with within(5):
        await asyncio.gather(run, return_exceptions=True)
    assert (house.applied, house.held()) == ([], set())


async def test_alone_it_holds_every_partition() -> None:
    async with working() as house:
        assigning = asyncio.create_task(Alone(PARTITIONS).run(house.crew))
        await eventually(lambda: house.held() == set(range(PARTITIONS)))
        assert not assigning.done()
        assigning.cancel()
        await asyncio.gather(assigning, return_exceptions=True)
