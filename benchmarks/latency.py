"""From webhook to qualified: single posts at a fixed rate, and a subscriber that waits for the transitions.

Measured from the time a post was due to the time its lead's `accord.stage.changed` was read, by its own connection,
from the committed log: whatever the generator or the subscriber (2 ms between two looks) was late counts too.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from benchmarks.broken import Broken
from benchmarks.house import House
from benchmarks.load import Plan
from benchmarks.loader import loader
from benchmarks.numbers import summary_ms
from benchmarks.own_histogram import own_histogram, quantiles_ms
from benchmarks.processes import cpu_seconds
from benchmarks.progress import until_read
from shared.events.lifecycle import StageChanged
from shared.events.topics import LIFECYCLE

LOOK_SECONDS = 0.002
_PATIENCE_SECONDS = 30

_ENDS = """SELECT f.partition, f.next_offset FROM stream.offsets f JOIN stream.topics t USING (topic_id)
WHERE t.name = $1 ORDER BY f.partition"""

_FOLLOWING = """SELECT l.partition, l.log_offset, l.type, l.value
FROM unnest($2::smallint[], $3::bigint[]) AS want(partition, start)
CROSS JOIN LATERAL (
    SELECT partition, log_offset, type, value FROM stream.log
    WHERE topic_id = $1::smallint AND partition = want.partition AND log_offset >= want.start
    ORDER BY log_offset LIMIT 500) AS l"""


@dataclass(frozen=True)
class Latency:
    """`qualified` is webhook to qualified, `answer` post to 202, `late` the generator's own lateness. The CPU time is
    Accord's and Postgres's, with the subscriber's looks.
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


class Subscriber:
    """Reads the lifecycle topic from where it stands now, and notes when it saw each email's lead enter a stage."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._topic_id = 0
        self._next: dict[int, int] = {}
        self.seen_at: dict[str, float] = {}

    async def join(self) -> None:
        """From here on."""
        self._topic_id = await self._connection.fetchval(
            "SELECT topic_id FROM stream.topics WHERE name = $1", LIFECYCLE
        )
        self._next = dict(await self._connection.fetch(_ENDS, LIFECYCLE))

    async def follow(self) -> None:
        """Until cancelled."""
        statement = await self._connection.prepare(_FOLLOWING)
        while True:
            rows = await statement.fetch(self._topic_id, list(self._next), list(self._next.values()))
            self._note(rows, time.monotonic())
            await asyncio.sleep(LOOK_SECONDS)

    def _note(self, rows: list[Any], read_at: float) -> None:
        for partition, offset, type_, value in rows:
            self._next[partition] = offset + 1
            if type_ == StageChanged.TYPE:
                self.seen_at.setdefault(from_json(value)["lead"]["email"], read_at)


async def measure_latency(house: House, connection: Any, reading: Any, plan: Plan) -> Latency:
    """One stretch on a line at rest; `reading` is the subscriber's own connection."""
    subscriber = Subscriber(reading)
    async with loader(plan) as generator:
        await until_read(connection, None, _PATIENCE_SECONDS)
        await subscriber.join()
        before = await asyncio.to_thread(own_histogram, house.target)
        spent = cpu_seconds(house.accord_pid) + cpu_seconds(house.postgres_pid)
        following = asyncio.create_task(subscriber.follow())
        try:
            posted = await generator.go(plan.warm_up_seconds + plan.seconds + _PATIENCE_SECONDS)
            await _until_seen(subscriber, posted["due"])
        finally:
            following.cancel()
            await asyncio.wait([following])
        spent = cpu_seconds(house.accord_pid) + cpu_seconds(house.postgres_pid) - spent
    after = await asyncio.to_thread(own_histogram, house.target)
    latencies = [subscriber.seen_at[email] - due for email, due in posted["due"].items()]
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


async def _until_seen(subscriber: Subscriber, due: dict[str, float]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while missing := due.keys() - subscriber.seen_at.keys():
        if time.monotonic() > deadline:
            raise Broken(f"{len(missing)} of {len(due)} leads weren't qualified within {_PATIENCE_SECONDS} s")
        await asyncio.sleep(0.05)
