"""Processes that share the partitions of one service on one Postgres: they join, leave, vanish and stand still."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid5

import asyncpg
import pytest
from builders import NAMES, NOON, an_event, eventually
from patience import within
from prometheus_client import CollectorRegistry

from shared.clock import ManualClock
from shared.events.envelope import Outgoing, Record
from shared.events.topics import ACTIVITY, TOPICS
from shared.stream import members as members_
from shared.stream.carrier import Slot, Transaction
from shared.stream.crew import Crew
from shared.stream.handover import Handover
from shared.stream.log import LANE_LEASE_SECONDS, PostgresCarrier
from shared.stream.members import Members
from shared.stream.metrics import Metrics
from shared.stream.runner import Runner
from shared.stream.setup import initialise, register_readers

SERVICE = "scoring"
PARTITIONS = 4
EVERYTHING = set(range(PARTITIONS))
APPLIED = "SELECT event_id, partition, epoch, owner FROM applied ORDER BY number"
OWNERS = "SELECT number, owner FROM stream.ownership WHERE service = 'scoring' AND kind = 'partition' ORDER BY 1"

CUT_EVERYBODY_OFF = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members_, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(members_, "SESSION_LOST_SECONDS", 0.5)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is given up for dead while a test lasts."""
    monkeypatch.setattr(members_, "LEASE_SECONDS", 600.0)
    monkeypatch.setattr(members_, "SESSION_LOST_SECONDS", 600.0)


class Process:
    """What a process of a service is to the others. Its handler writes down each event with its owner and epoch."""

    def __init__(self, database_url: str, pool: Any) -> None:
        self._url = database_url
        self._pool = pool
        self._connections: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        async with self._pool.acquire() as connection:
            partitions, names = await initialise(connection, topics=TOPICS, partitions=PARTITIONS, default=1)
        self.carrier = PostgresCarrier(
            pool=self._pool, connect=self._connect, partitions=partitions, names=names, handover=Handover()
        )
        self.metrics = Metrics(CollectorRegistry())
        self.crew = Crew(SERVICE, self._runner, self.metrics)
        self.members = Members(self._connect, self.owner, PARTITIONS)
        self._tasks = [asyncio.create_task(self.crew.run()), asyncio.create_task(self.members.run(self.crew))]

    @property
    def owner(self) -> str:
        return self.carrier.owner

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        rows = [(record.event.id, record.partition, transaction.epoch, self.owner) for record in records]
        await transaction.connection.executemany(
            "INSERT INTO applied (event_id, partition, epoch, owner) VALUES ($1, $2, $3, $4)", rows
        )
        return ()

    async def stop(self) -> None:
        """In order, as SIGTERM does."""
        running, assigning = self._tasks
        self.crew.stop()
        async with within(15):
            await running
        assigning.cancel()
        with suppress(asyncio.CancelledError):
            await assigning

    async def kill(self) -> None:
        """As kill -9 does: sessions end, and nothing is said."""
        for connection in self._connections:
            connection.terminate()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def has(self, partitions: set[int]) -> bool:
        return {number for number, runner in self.crew.runners.items() if runner.state == "running"} == partitions

    async def _connect(self) -> Any:
        self._connections.append(await asyncpg.connect(self._url))
        return self._connections[-1]

    def _runner(self, partition: int) -> Runner:
        return Runner(
            carrier=self.carrier,
            slot=Slot(SERVICE, "partition", partition),
            topics=(ACTIVITY,),
            handler=self,
            clock=ManualClock(NOON),
            metrics=self.metrics,
            release="1",
        )


Start = Callable[[], Awaitable[Process]]


@pytest.fixture
async def start(database_url: str, pool: Any) -> AsyncIterator[Start]:
    """Starts a process; whatever still runs at the end is killed."""
    await pool.execute("CREATE TABLE applied (number serial, event_id uuid, partition int, epoch bigint, owner text)")
    async with pool.acquire() as connection:
        await initialise(connection, topics=TOPICS, partitions=PARTITIONS, default=1)
        await register_readers(connection, {SERVICE: (ACTIVITY,)}, PARTITIONS)
    processes: list[Process] = []

    async def start_one() -> Process:
        processes.append(Process(database_url, pool))
        await processes[-1].start()
        return processes[-1]

    yield start_one
    for process in processes:
        await process.kill()


@asynccontextmanager
async def load(process: Process, pool: Any) -> AsyncIterator[None]:
    """Posts to every partition meanwhile. Then each event must have been applied once, under epochs that only rise."""
    ends, sent = asyncio.Event(), 0

    async def post() -> None:
        nonlocal sent
        lane = await process.carrier.claim_lane("ingest")
        while not ends.is_set():
            events = [an_event(f"{sent + n}", partition=n) for n in range(PARTITIONS)]
            async with lane.step(lane.positions, lane.breaker) as transaction:
                await transaction.emit([Outgoing(ACTIVITY, event) for event in events])
            sent += len(events)

    posting = asyncio.create_task(post())
    try:
        yield
    finally:
        ends.set()
        await posting

    async def all_are_applied() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM applied") >= sent)

    await eventually(all_are_applied, within=10)
    rows = await pool.fetch(APPLIED)
    assert sorted(row["event_id"] for row in rows) == sorted(uuid5(NAMES, f"{number}") for number in range(sent))
    for partition in range(PARTITIONS):
        epochs = [row["epoch"] for row in rows if row["partition"] == partition]
        assert epochs == sorted(epochs)


async def owners(pool: Any) -> list[str | None]:
    return [row["owner"] for row in await pool.fetch(OWNERS)]


@pytest.mark.usefixtures("patience")
async def test_two_members_share_and_one_that_leaves_in_order_is_followed_at_once(start: Start, pool: Any) -> None:
    first = await start()
    await eventually(lambda: first.has(EVERYTHING))
    async with load(first, pool):
        second = await start()
        await eventually(lambda: len(first.crew.runners) == len(second.crew.runners) == PARTITIONS // 2)
        await eventually(lambda: first.has(EVERYTHING - second.crew.runners.keys()))
        await second.stop()
        await eventually(lambda: first.has(EVERYTHING))
    assert await pool.fetchval("SELECT array_agg(owner) FROM stream.members") == [first.owner]


async def test_a_member_that_is_killed_is_followed_by_the_living_and_may_come_back(start: Start, pool: Any) -> None:
    first, second = await start(), await start()
    await eventually(lambda: len(first.crew.runners) == len(second.crew.runners) == PARTITIONS // 2)
    async with load(second, pool):
        await first.kill()
        await eventually(lambda: second.has(EVERYTHING))
        assert await owners(pool) == [second.owner] * PARTITIONS
        third = await start()
        await eventually(lambda: len(second.crew.runners) == len(third.crew.runners) == PARTITIONS // 2)
        await eventually(lambda: third.has(EVERYTHING - second.crew.runners.keys()))


async def test_a_member_that_stands_still_keeps_its_partitions_until_its_lease_runs_out(
    start: Start, pool: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members_, "LEASE_SECONDS", 1.5)
    silent = await asyncpg.connect(database_url)
    await silent.execute(members_.JOIN, SERVICE, "a silent one")
    await silent.execute(members_.BEAT, SERVICE, "a silent one")
    await pool.execute("UPDATE stream.ownership SET owner = 'a silent one'")
    process = await start()
    await eventually(lambda: process.has(EVERYTHING))
    waited = await pool.fetchval(
        """SELECT min(leased_until) - make_interval(secs => $1) - (
            SELECT seen_at FROM stream.members WHERE owner = 'a silent one') FROM stream.ownership""",
        LANE_LEASE_SECONDS,
    )
    assert waited.total_seconds() > 1.5
    await silent.close()


async def test_many_that_start_at_once_share_evenly_and_more_than_there_are_partitions_stand_by(
    start: Start, pool: Any
) -> None:
    processes = [await start() for _ in range(PARTITIONS + 1)]

    def held() -> list[int]:
        return sorted(sum(r.state == "running" for r in process.crew.runners.values()) for process in processes)

    await eventually(lambda: held() == [0, *[1] * PARTITIONS])
    assert len(set(await owners(pool))) == PARTITIONS


async def test_a_partition_left_in_its_name_is_given_back(start: Start, pool: Any) -> None:
    first = await start()
    await eventually(lambda: first.has(EVERYTHING))
    second = await start()
    await eventually(lambda: len(first.crew.runners) == PARTITIONS // 2)
    given = sorted(EVERYTHING - first.crew.runners.keys())
    await pool.execute("UPDATE stream.ownership SET owner = $1 WHERE number = ANY($2)", first.owner, given)
    await eventually(lambda: second.has(set(given)))


async def test_without_the_database_nothing_is_given_back_and_with_it_all_goes_on(start: Start, pool: Any) -> None:
    process = await start()
    await eventually(lambda: process.has(EVERYTHING))
    await pool.execute(CUT_EVERYBODY_OFF)
    async with load(process, pool):
        await eventually(lambda: process.has(EVERYTHING))
    assert await owners(pool) == [process.owner] * PARTITIONS


TAKEN_AND_GIVEN_BACK = """UPDATE stream.ownership SET epoch = epoch + 1, owner = NULL, leased_until = NULL
WHERE service = 'scoring' AND kind = 'partition' AND number = 3"""


@pytest.mark.usefixtures("patience")
async def test_a_partition_at_rest_that_another_took_and_gave_back_is_taken_again(start: Start, pool: Any) -> None:
    """As two do that start at the same moment: one takes all, until it sees the other."""
    process = await start()
    await eventually(lambda: process.has(EVERYTHING))
    await pool.execute(TAKEN_AND_GIVEN_BACK)

    async def is_owned_again() -> bool:
        return await owners(pool) == [process.owner] * PARTITIONS

    await eventually(is_owned_again)
    await eventually(lambda: process.has(EVERYTHING))
