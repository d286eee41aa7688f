"""The order of a run: ordinary way, line and ceiling in turn, round by round, on one Postgres; then latency and burst.

Where there is a broker, a second house on Kafka does the same after the first has gone: on two CPUs even one that
rests, with its broker, takes a tenth of what is measured beside it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from benchmarks.burst import Burst, measure_burst
from benchmarks.ceiling import measure_ceiling
from benchmarks.fill import Filler
from benchmarks.house import House, call
from benchmarks.latency import Latency, measure_latency
from benchmarks.line import LineRound, measure_line, warm_up
from benchmarks.load import Plan
from benchmarks.ordinary import Ordinary, measure_ordinary
from benchmarks.processes import peak_bytes, watched_memory
from benchmarks.progress import until_at_rest, until_quiet
from benchmarks.report import HouseMeasured, Memory
from benchmarks.scale import Scale
from benchmarks.subscribers import subscriber
from benchmarks.traffic import Traffic
from services.carriers import DEFAULT_PARTITIONS

Tell = Callable[[str], None]

SEED = 1
_BURST_LEADS_SHARE = 12
_REST_SECONDS_MAX = 180
_BROKER_STRETCHES = 2


class Run:
    """The measurements in one house, one method each."""

    def __init__(self, house: House, scale: Scale, connection: Any) -> None:
        self._house = house
        self._scale = scale
        self._connection = connection
        self._postgres_bytes = 0

    @property
    def name(self) -> str:
        """As the result calls it."""
        return "on_kafka" if self._house.broker else "on_postgres"

    async def prepare(self) -> None:
        """What comes first isn't measured. A broker compiles its code while it runs: it takes two to three times as
        long for its first thousands of single posts."""
        await warm_up(self._connection, self._batches("warmup", min(self._scale.activities, 2_000)))
        for number in range(_BROKER_STRETCHES if self._house.broker else 0):
            await self.latency(f"warmup{number}")

    async def ordinary(self, number: int, database_url: str) -> Ordinary:
        await until_quiet(self._connection)
        events, scale = self._scale.ordinary_events, self._scale
        # As many activities per lead as on the line.
        traffic = Traffic(f"ordinary{number}", leads=max(events * scale.leads // scale.activities, 1), seed=SEED)
        return await measure_ordinary(database_url, self._house.postgres_pid, traffic, events)

    async def line(self, number: int) -> LineRound:
        await until_quiet(self._connection)
        async with self._watched():
            return await measure_line(
                self._house, self._connection, self._batches(f"line{number}", self._scale.activities)
            )

    async def ceiling(self) -> float:
        await until_quiet(self._connection)
        return await measure_ceiling(self._connection, self._scale.activities)

    async def latency(self, name: str) -> Latency:
        """`name` tells its leads from those of another stretch."""
        scale = self._scale
        plan = Plan(
            kind="singles",
            target=self._house.target,
            run=name,
            leads=round((scale.seconds + scale.warm_up_seconds) * scale.per_second / 5),
            seed=SEED,
            per_second=scale.per_second,
            seconds=scale.seconds,
            warm_up_seconds=scale.warm_up_seconds,
        )
        await until_quiet(self._connection)
        # Nobody watches the memory meanwhile: a look takes this loop 10 ms, for which the subscriber would see nothing.
        async with subscriber(self._house, DEFAULT_PARTITIONS) as subscribing:
            return await measure_latency(self._house, self._connection, subscribing, plan)

    async def latency_at_rest(self) -> Latency:
        """The same once the aftermath of the rounds is over."""
        target = self._house.admin
        await until_at_rest(
            self._connection,
            lambda: asyncio.to_thread(call, target, "GET", "/v1/leads?limit=1", None),
            _REST_SECONDS_MAX,
        )
        return await self.latency("latency_at_rest")

    async def burst(self) -> Burst:
        assert self._house.broker
        events = self._scale.burst_events
        traffic = Traffic("burst", leads=max(events // _BURST_LEADS_SHARE, 1), seed=SEED)
        await until_quiet(self._connection)
        async with Filler(self._house.broker.bootstrap, DEFAULT_PARTITIONS) as filler:
            return await measure_burst(self._connection, filler, traffic, events)

    def memory(self) -> Memory:
        return Memory(peak_bytes(self._house.accord_pid), self._postgres_bytes)

    def _batches(self, run: str, activities: int) -> Plan:
        leads = max(self._scale.leads * activities // self._scale.activities, 1)
        return Plan("batches", self._house.target, run, leads, seed=SEED, activities=activities)

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        async with watched_memory(self._house.postgres_pid) as peak:
            yield
        self._postgres_bytes = max(self._postgres_bytes, peak.bytes)


async def measure_house(house: House, scale: Scale, tell: Tell, ordinary_url: str | None = None) -> HouseMeasured:
    """Everything about the whole line in one house; with an address of a database, beside the ordinary way there, and
    the ceiling."""
    async with AsyncExitStack() as stack:
        run = Run(house, scale, await _connected(stack, house))
        await run.prepare()
        ordinary: list[Ordinary] = []
        lines: list[LineRound] = []
        ceiling: list[float] = []
        for number in range(1, scale.rounds + 1):
            said = []
            if ordinary_url:
                ordinary.append(await run.ordinary(number, ordinary_url))
                said.append(f"ordinary way {ordinary[-1].per_second:,.0f}/s")
            lines.append(await run.line(number))
            said.append(f"line {run.name} {lines[-1].per_second:,.0f}/s")
            if ordinary_url:
                ceiling.append(await run.ceiling())
                said.append(f"ceiling {ceiling[-1]:,.0f}/s")
            tell(f"round {number} of {scale.rounds}: {', '.join(said)}")
        latency = await run.latency("latency")
        tell(f"latency {run.name}, right after: p99 {latency.qualified['p99_ms']} ms")
        at_rest = await run.latency_at_rest()
        tell(f"latency {run.name}, at rest: p99 {at_rest.qualified['p99_ms']} ms")
        memory, burst = run.memory(), None
        if house.broker:
            burst = await run.burst()
            tell(f"burst of {burst.events:,}: read after {burst.seconds:.1f} s")
        return HouseMeasured(run.name, lines, ordinary, ceiling, latency, at_rest, memory, burst)


async def profile_line(house: House, scale: Scale) -> LineRound:
    """One round of the line alone."""
    async with AsyncExitStack() as stack:
        run = Run(house, scale, await _connected(stack, house))
        await run.prepare()
        return await run.line(1)


async def _connected(stack: AsyncExitStack, house: House) -> Any:
    connection = await asyncpg.connect(house.database_url)
    stack.push_async_callback(connection.close)
    return connection
