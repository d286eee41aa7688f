"""The lane publisher: one commit for all who wait, and nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from builders import an_event, eventually
from patience import within
from prometheus_client import CollectorRegistry

from shared.errors import Poison, Surroundings, Unavailable
from shared.events.envelope import Outgoing
from shared.events.topics import ACTIVITY
from shared.stream import lane
from shared.stream.carrier import Slot, Transaction
from shared.stream.lane import LanePublisher
from shared.stream.memory import MemoryCarrier
from shared.stream.metrics import Metrics


class Desk:
    """A publisher of names on a memory carrier. A name in `faults` makes its commit fail; `closed` holds a commit."""

    def __init__(self, carrier: MemoryCarrier | None = None) -> None:
        self.carrier = carrier or MemoryCarrier()
        self.registry = CollectorRegistry()
        self.publisher = LanePublisher(
            self.carrier,
            "ingest",
            self.prepare,
            metrics=Metrics(self.registry),
            weigh=lambda name: len(name.split("+")),
        )
        self.groups: list[list[str]] = []
        self.faults: dict[str, Exception] = {}
        self.may_commit = asyncio.Event()
        self.may_commit.set()

    async def prepare(self, transaction: Transaction, items: Sequence[str]) -> tuple[list[Outgoing], Sequence[str]]:
        self.groups.append(list(items))
        await self.may_commit.wait()
        for item in items:
            if item in self.faults:
                raise self.faults[item]
        outgoing = [Outgoing(ACTIVITY, an_event(name)) for item in items for name in item.split("+")]
        return outgoing, [item.upper() for item in items]

    def publish(self, *items: str) -> list["asyncio.Task[str]"]:
        return [asyncio.create_task(self.publisher.publish(item)) for item in items]

    async def gather(self, *items: str) -> list["asyncio.Task[str]"]:
        """Publishes, and returns once all of it stands in the queue or was refused."""
        tasks = self.publish(*items)
        await eventually(lambda: len(self.publisher._queue) + sum(task.done() for task in tasks) == len(items))
        return tasks

    def on_the_log(self) -> list[str]:
        return [record.event.value.decode() for record in self.carrier.log[ACTIVITY, 0]]

    def metric(self, name: str) -> float:
        return self.registry.get_sample_value(name, {"service": "ingest"}) or 0.0


@asynccontextmanager
async def open_for_business(desk: Desk) -> AsyncIterator["asyncio.Task[None]"]:
    run = asyncio.create_task(desk.publisher.run())
    await eventually(lambda: desk.publisher.is_ready)
    try:
        yield run
    finally:
        desk.may_commit.set()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def outcomes(tasks: Sequence["asyncio.Task[str]"]) -> list[str]:
    """The result of each, or the name of its error; all within a deadline."""
    async with within(5):
        done = await asyncio.gather(*tasks, return_exceptions=True)
    return [outcome if isinstance(outcome, str) else type(outcome).__name__ for outcome in done]


async def with_a_commit_in_flight(desk: Desk) -> "asyncio.Task[str]":
    desk.may_commit.clear()
    [task] = desk.publish("first")
    await eventually(lambda: desk.groups == [["first"]])
    return task


async def test_a_lone_item_is_committed_at_once_and_gets_its_own_result() -> None:
    desk = Desk()
    async with open_for_business(desk):
        assert await desk.publisher.publish("a") == "A"
    assert desk.on_the_log() == ["a"]


async def test_what_gathers_while_a_commit_runs_is_the_next_commit() -> None:
    desk = Desk()
    async with open_for_business(desk):
        first = await with_a_commit_in_flight(desk)
        rest = await desk.gather("b", "c", "d")
        desk.may_commit.set()
        assert await outcomes([first, *rest]) == ["FIRST", "B", "C", "D"]
    assert desk.groups == [["first"], ["b", "c", "d"]]
    assert desk.on_the_log() == ["first", "b", "c", "d"]


async def test_a_commit_is_bounded_by_its_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "EVENTS_MAX", 3)
    desk = Desk()
    async with open_for_business(desk):
        first = await with_a_commit_in_flight(desk)
        rest = await desk.gather("b+c", "d+e", "f", "g")
        desk.may_commit.set()
        await outcomes([first, *rest])
    assert desk.groups == [["first"], ["b+c", "d+e"], ["f", "g"]]


async def test_a_poison_item_refuses_only_itself() -> None:
    desk = Desk()
    desk.faults = {"d": Poison("no"), "f": ValueError("a bug")}
    async with open_for_business(desk):
        first = await with_a_commit_in_flight(desk)
        rest = await desk.gather(*"bcdefgh")
        desk.may_commit.set()
        assert await outcomes([first, *rest]) == ["FIRST", "B", "C", "Poison", "E", "ValueError", "G", "H"]
        assert desk.publisher.is_ready
    assert desk.on_the_log() == ["first", *"bcegh"]


async def test_when_the_database_fails_all_waiting_are_refused_and_the_lane_comes_back() -> None:
    desk = Desk()
    async with open_for_business(desk):
        desk.faults = {"first": Surroundings()}
        first = await with_a_commit_in_flight(desk)
        rest = await desk.gather("b", "c")
        desk.may_commit.set()
        assert await outcomes([first, *rest]) == ["Unavailable"] * 3
        assert desk.on_the_log() == []
        with pytest.raises(Unavailable):
            await desk.publisher.publish("too early")
        await eventually(lambda: desk.publisher.is_ready)
        assert await desk.publisher.publish("again") == "AGAIN"
    assert [record.seq for record in desk.carrier.log[ACTIVITY, 0]] == [1]


async def test_nobody_waits_for_ever_when_the_database_fails_while_poison_is_sought() -> None:
    desk = Desk()
    desk.faults = {"c": Poison(), "b": Surroundings()}
    async with open_for_business(desk):
        first = await with_a_commit_in_flight(desk)
        rest = await desk.gather("a", "c", "b", "d", "e")
        desk.may_commit.set()
        assert await outcomes([first, *rest]) == ["FIRST", "A", "Poison", "Unavailable", "Unavailable", "Unavailable"]


async def test_a_full_queue_refuses_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "QUEUE_EVENTS_MAX", 4)
    desk = Desk()
    async with open_for_business(desk):
        first = await with_a_commit_in_flight(desk)
        rest = await desk.gather("b+c+d", "e", "f")
        assert desk.metric("accord_stream_lane_queue_full_total") == 1
        desk.may_commit.set()
        assert await outcomes([first, *rest]) == ["FIRST", "B+C+D", "E", "Unavailable"]
        assert await desk.publisher.publish("g") == "G"


async def test_a_request_given_up_while_it_waited_is_left_out() -> None:
    desk = Desk()
    async with open_for_business(desk):
        first = await with_a_commit_in_flight(desk)
        [given_up, kept] = await desk.gather("b", "c")
        given_up.cancel()
        await eventually(given_up.done)
        desk.may_commit.set()
        assert await outcomes([first, given_up, kept]) == ["FIRST", "CancelledError", "C"]
    assert desk.on_the_log() == ["first", "c"]


async def test_a_publisher_that_ends_refuses_all_who_wait_and_gives_its_lane_back() -> None:
    desk = Desk()
    async with open_for_business(desk) as run:
        first = await with_a_commit_in_flight(desk)
        rest = await desk.gather("b", "c")
        run.cancel()
        assert await outcomes([first, *rest]) == ["Unavailable"] * 3
    assert desk.on_the_log() == []
    with pytest.raises(Unavailable):
        await desk.publisher.publish("too late")
    assert (await desk.carrier.claim_lane("ingest")).slot.number == 0


async def test_before_it_holds_a_lane_it_refuses() -> None:
    with pytest.raises(Unavailable):
        await Desk().publisher.publish("too early")


async def test_a_lane_taken_by_another_is_replaced_by_a_free_one() -> None:
    desk = Desk()
    async with open_for_business(desk):
        await desk.publisher.publish("a")
        await desk.carrier.claim(Slot("ingest", "lane", 0))
        assert await outcomes(desk.publish("b")) == ["Unavailable"]
        await eventually(lambda: desk.publisher.is_ready)
        assert await desk.publisher.publish("c") == "C"
        assert desk.metric("accord_stream_epoch_losses_total") == 1
    assert [(r.emitter, r.seq) for r in desk.carrier.log[ACTIVITY, 0]] == [("ingest/0", 1), ("ingest/1", 1)]


async def test_an_idle_lane_is_renewed_and_notices_that_it_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "HEARTBEAT_SECONDS", 0.01)
    desk = Desk()
    async with open_for_business(desk):
        await desk.carrier.claim(Slot("ingest", "lane", 0))
        await eventually(lambda: desk.metric("accord_stream_epoch_losses_total") == 1)
        await eventually(lambda: desk.publisher.is_ready)
        assert await desk.publisher.publish("a") == "A"
    assert [record.emitter for record in desk.carrier.log[ACTIVITY, 0]] == ["ingest/1"]
