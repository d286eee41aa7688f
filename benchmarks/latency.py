"""From webhook to qualified: single posts at a fixed rate, and a subscriber that waits for the transitions.

Measured from the time a post was due to the time its lead's `accord.stage.changed` was read from outside: whatever the
generator or the subscriber was late counts too.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.broken import Broken
from benchmarks.house import House
from benchmarks.load import Plan
from benchmarks.loader import loader
from benchmarks.numbers import summary_ms
from benchmarks.own_histogram import own_histogram, quantiles_ms
from benchmarks.processes import cpu_seconds
from benchmarks.progress import until_read
from benchmarks.subscribers import Subscriber

_PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Latency:
    """`qualified` is webhook to qualified, `answer` post to 202, `late` the generator's own lateness. The CPU time is
    Accord's, Postgres's and the broker's, with the subscriber's looks.
    """

    per_second: float
    posts: int
    samples: int
    qualified: dict[str, float]
    answer: dict[str, float]
    late: dict[str, float]
    accord_says: dict[str, float]
    refused: int
    cpu_ms_per_post: float


async def measure_latency(house: House, connection: Any, subscribing: Subscriber, plan: Plan) -> Latency:
    """One stretch on a line at rest."""
    async with loader(plan) as generator:
        await until_read(connection, None, _PATIENCE_SECONDS)
        await subscribing.join()
        before = await asyncio.to_thread(own_histogram, house.target)
        spent = _cpu_seconds(house)
        following = asyncio.create_task(subscribing.follow())
        try:
            posted = await generator.go(plan.warm_up_seconds + plan.seconds + _PATIENCE_SECONDS)
            await _until_seen(subscribing, posted["due"])
        finally:
            following.cancel()
            await asyncio.wait([following])
        spent = _cpu_seconds(house) - spent
    after = await asyncio.to_thread(own_histogram, house.target)
    latencies = [subscribing.seen_at[email] - due for email, due in posted["due"].items()]
    return Latency(
        per_second=plan.per_second,
        posts=posted["posts"],
        samples=len(latencies),
        qualified=summary_ms(latencies),
        answer=posted["answer"],
        late=posted["late"],
        accord_says=quantiles_ms(before, after),
        refused=posted["refused"],
        cpu_ms_per_post=spent * 1_000 / ((plan.warm_up_seconds + plan.seconds) * plan.per_second),
    )


def _cpu_seconds(house: House) -> float:
    return sum(cpu_seconds(pid) for pid in house.pids)


async def _until_seen(subscribing: Subscriber, due: dict[str, float]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while missing := due.keys() - subscribing.seen_at.keys():
        if time.monotonic() > deadline:
            raise Broken(f"{len(missing)} of {len(due)} leads weren't qualified within {_PATIENCE_SECONDS} s")
        await asyncio.sleep(0.05)
