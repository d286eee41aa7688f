"""The order of a run: ordinary way, line and ceiling in turn, round by round, on one Postgres; then the latency."""

import os
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from benchmarks.ceiling import measure_ceiling
from benchmarks.house import House
from benchmarks.latency import Latency, measure_latency
from benchmarks.line import LineRound, measure_line, warm_up
from benchmarks.load import Plan
from benchmarks.ordinary import Ordinary, measure_ordinary
from benchmarks.processes import peak_bytes, watched_memory
from benchmarks.progress import until_quiet
from benchmarks.report import Measured, Memory
from benchmarks.traffic import Traffic
from shared.clock import SystemClock

Tell = Callable[[str], None]

_ORDINARY_DATABASE = "bench_ordinary"
_SEED = 1


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    activities: int
    leads: int
    rounds: int
    ordinary_events: int
    per_second: float
    seconds: float
    warm_up_seconds: float


FULL = Scale(
    activities=60_000, leads=5_000, rounds=3, ordinary_events=1_000, per_second=300, seconds=20, warm_up_seconds=4
)
QUICK = Scale(activities=4_000, leads=330, rounds=1, ordinary_events=200, per_second=100, seconds=4, warm_up_seconds=1)


class Run:
    """The measurements, one method each."""

    def __init__(self, house: House, scale: Scale, connection: Any) -> None:
        self._house = house
        self._scale = scale
        self._connection = connection
        self._postgres_bytes = 0

    async def prepare(self) -> None:
        """What comes first isn't measured."""
        await self._connection.execute(f"CREATE DATABASE {_ORDINARY_DATABASE}")
        await warm_up(self._connection, self._batches("warmup", min(self._scale.activities, 2_000)))

    async def ordinary(self, number: int) -> Ordinary:
        await until_quiet(self._connection)
        address = urlsplit(self._house.database_url)._replace(path=f"/{_ORDINARY_DATABASE}")
        events, scale = self._scale.ordinary_events, self._scale
        # As many activities per lead as on the line.
        traffic = Traffic(f"ordinary{number}", leads=max(events * scale.leads // scale.activities, 1), seed=_SEED)
        return await measure_ordinary(urlunsplit(address), self._house.postgres_pid, traffic, events)

    async def line(self, number: int) -> LineRound:
        await until_quiet(self._connection)
        async with self._watched():
            return await measure_line(
                self._house, self._connection, self._batches(f"line{number}", self._scale.activities)
            )

    async def ceiling(self) -> float:
        await until_quiet(self._connection)
        return await measure_ceiling(self._connection, self._scale.activities)

    async def latency(self) -> Latency:
        scale = self._scale
        plan = Plan(
            kind="singles",
            target=self._house.target,
            run="latency",
            leads=round((scale.seconds + scale.warm_up_seconds) * scale.per_second / 5),
            seed=_SEED,
            per_second=scale.per_second,
            seconds=scale.seconds,
            warm_up_seconds=scale.warm_up_seconds,
        )
        await until_quiet(self._connection)
        reading = await asyncpg.connect(self._house.database_url)
        try:
            async with self._watched():
                return await measure_latency(self._house, self._connection, reading, plan)
        finally:
            await reading.close()

    def memory(self) -> Memory:
        return Memory(peak_bytes(self._house.accord_pid), self._postgres_bytes)

    def _batches(self, run: str, activities: int) -> Plan:
        leads = max(self._scale.leads * activities // self._scale.activities, 1)
        return Plan("batches", self._house.target, run, leads, seed=_SEED, activities=activities)

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        async with watched_memory(self._house.postgres_pid) as peak:
            yield
        self._postgres_bytes = max(self._postgres_bytes, peak.bytes)


async def measure(house: House, scale: Scale, tell: Tell) -> tuple[Measured, dict[str, Any]]:
    """Everything, and what surrounds it."""
    connection = await asyncpg.connect(house.database_url)
    try:
        surroundings = await _surroundings(connection)
        run = Run(house, scale, connection)
        await run.prepare()
        line: list[LineRound] = []
        ordinary: list[Ordinary] = []
        ceiling: list[float] = []
        for number in range(1, scale.rounds + 1):
            ordinary.append(await run.ordinary(number))
            line.append(await run.line(number))
            ceiling.append(await run.ceiling())
            tell(
                f"round {number} of {scale.rounds}: line {line[-1].per_second:,.0f}/s, "
                f"ordinary way {ordinary[-1].per_second:,.0f}/s, ceiling {ceiling[-1]:,.0f}/s"
            )
        latency = await run.latency()
        return Measured(line, ordinary, ceiling, latency, run.memory()), surroundings
    finally:
        await connection.close()


async def profile_line(house: House, scale: Scale) -> LineRound:
    """One round of the line alone."""
    connection = await asyncpg.connect(house.database_url)
    try:
        run = Run(house, scale, connection)
        await run.prepare()
        return await run.line(1)
    finally:
        await connection.close()


async def _surroundings(connection: Any) -> dict[str, Any]:
    folder, cpus, load = await connection.fetchval("SHOW data_directory"), os.cpu_count() or 1, os.getloadavg()[0]
    filesystem, fsync = _filesystem(Path(folder)), await connection.fetchval("SHOW fsync")
    warnings = []
    if load > cpus / 4:
        warnings.append(f"the machine was busy before the run began (load {load:.1f} on {cpus} CPUs)")
    if filesystem == "tmpfs" or fsync != "on":
        warnings.append("commits weren't durable: the database lies in memory")
    return {
        "at": SystemClock().now().isoformat(),
        "machine": {
            "cpus": cpus,
            "load_before": round(load, 2),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "postgres": await connection.fetchval("SHOW server_version"),
            "filesystem": filesystem,
        },
        "warnings": warnings,
    }


def _filesystem(folder: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = {str(path) for path in (folder, *folder.parents)}
    return max(((point, kind) for point, kind in mounts if point in above), key=lambda found: len(found[0]))[1]
