"""The order of what is measured on scoring alone, on a broker of its own: recovery, and the contest with the rivals."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from benchmarks.apart import Apart
from benchmarks.broker import Topics
from benchmarks.contest import Contest, Turn
from benchmarks.contestants import ACCORD, Contestant
from benchmarks.fill import Filler
from benchmarks.recovery import Recovery, Scene
from benchmarks.run import SEED, Tell
from benchmarks.scale import Scale
from benchmarks.traffic import Traffic
from services.carriers import DEFAULT_PARTITIONS


async def measure_recovery(apart: Apart, scale: Scale, tell: Tell) -> list[Recovery]:
    """With one process, then with two."""
    found = []
    async with _at_work(apart) as (topics, filler):
        connection: Any = await asyncpg.connect(apart.database_url)
        try:
            scene = Scene(apart, connection, topics, filler)
            for processes in (1, 2):
                traffic = Traffic(f"recovery{processes}", leads=scale.leads, seed=SEED)
                found.append(await scene.measure(processes, traffic, scale.recovery_per_second))
                tell(f"recovery with {processes} of scoring: {found[-1].seconds:.1f} s")
        finally:
            await connection.close()
    return found


async def measure_contest(
    apart: Apart, postgres_pid: int, contestants: Sequence[Contestant], scale: Scale, tell: Tell
) -> list[Turn]:
    """All take turns, each round in another order, after as many new activities."""
    found: list[Turn] = []
    count = scale.contest_activities
    async with _at_work(apart) as (topics, filler):
        for contestant in contestants:
            if contestant.name != ACCORD:
                await topics.make(contestant.activities)
                await topics.make(contestant.scores)
        contest = Contest(topics, filler, postgres_pid=postgres_pid, broker_pid=apart.broker.pid)
        for number in range(scale.rounds):
            traffic = Traffic(f"contest{number}", leads=max(count * scale.leads // scale.activities, 1), seed=SEED)
            messages = filler.messages(traffic, count)
            first = number % len(contestants)
            for contestant in (*contestants[first:], *contestants[:first]):
                found.append(turn := await contest.turn(contestant, messages))
                tell(
                    f"round {number + 1} of {scale.rounds}: {turn.name} {turn.per_second:,.0f}/s, "
                    f"{turn.cpu_seconds_per_1000:.3f} CPU s/1,000"
                )
    return found


@asynccontextmanager
async def _at_work(apart: Apart) -> AsyncIterator[tuple[Topics, Filler]]:
    apart.migrate()
    bootstrap = apart.broker.bootstrap
    async with Topics(bootstrap, DEFAULT_PARTITIONS) as topics, Filler(bootstrap, DEFAULT_PARTITIONS) as filler:
        yield topics, filler
