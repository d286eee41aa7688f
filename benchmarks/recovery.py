"""Seconds from kill -9 of a scoring process, under a steady stream, until everything that came is read again."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.apart import Apart
from benchmarks.broken import Broken
from benchmarks.broker import Topics
from benchmarks.child import Child
from benchmarks.fill import Filler
from benchmarks.progress import read_offsets
from benchmarks.traffic import Traffic
from shared.events.topics import ACTIVITY

# Caught up: what was on the topic this long ago is read.
BEHIND_SECONDS = 0.5
STEADY_SECONDS = 4.0
_LOOK_SECONDS = 0.05
_START_SECONDS = 90.0


@dataclass(frozen=True)
class Recovery:
    """With one process, its successor is started at once; with two, the other takes over."""

    processes: int
    per_second: float
    session_timeout_seconds: int
    seconds: float
    behind_max: int


class Watched:
    """How far scoring is behind what was put on its topic."""

    def __init__(self, connection: Any, topics: Topics) -> None:
        self._connection = connection
        self._topics = topics
        self._ends: deque[tuple[float, Mapping[int, int]]] = deque()
        self.behind_max = 0

    async def is_caught_up(self) -> bool:
        """Whether all that was there half a second ago is read; False until there was such a look."""
        ends, now = await self._topics.ends(ACTIVITY), time.monotonic()
        read = await read_offsets(self._connection, "scoring", ACTIVITY)
        self._ends.append((now, ends))
        self.behind_max = max(self.behind_max, sum(ends.values()) - sum(read.values()))
        if self._ends[0][0] > now - BEHIND_SECONDS:
            return False
        while len(self._ends) > 1 and self._ends[1][0] <= now - BEHIND_SECONDS:
            self._ends.popleft()
        return all(read.get(partition, 0) >= end for partition, end in self._ends[0][1].items())

    async def until_caught_up(self, patience_seconds: float) -> float:
        """The time (monotonic) of it."""
        deadline = time.monotonic() + patience_seconds
        while not await self.is_caught_up():
            if time.monotonic() > deadline:
                raise Broken(f"scoring wasn't caught up within {patience_seconds:.0f} s")
            await asyncio.sleep(_LOOK_SECONDS)
        return time.monotonic()


class Scene:
    """Where it happens; processes are started from this thread."""

    def __init__(self, apart: Apart, connection: Any, topics: Topics, filler: Filler) -> None:
        self._apart = apart
        self._session_timeout_seconds = apart.session_timeout_seconds
        self._connection = connection
        self._topics = topics
        self._filler = filler

    async def measure(self, processes: int, traffic: Traffic, per_second: float) -> Recovery:
        """Kills one of so many processes."""
        stopped = asyncio.Event()
        with ExitStack() as stack:
            scoring = [stack.enter_context(self._apart.scoring()) for _ in range(processes)]
            pouring = asyncio.create_task(self._filler.pour(traffic, per_second, stopped))
            try:
                await self._steady(scoring)
                watched, killed_at = Watched(self._connection, self._topics), time.monotonic()
                scoring[0].kill()
                if processes == 1:
                    stack.enter_context(self._apart.scoring())
                # What was read just before it was killed must not be taken for a recovery.
                await asyncio.sleep(BEHIND_SECONDS)
                caught_up_at = await watched.until_caught_up(self._session_timeout_seconds * 2 + _START_SECONDS)
            finally:
                stopped.set()
                await pouring
        seconds = caught_up_at - killed_at
        return Recovery(processes, per_second, self._session_timeout_seconds, seconds, watched.behind_max)

    async def _steady(self, scoring: list[Child]) -> None:
        """All run, hold their share and keep up."""
        watched = Watched(self._connection, self._topics)
        await watched.until_caught_up(_START_SECONDS)
        deadline = time.monotonic() + _START_SECONDS
        while await self._owners() < len(scoring):
            if time.monotonic() > deadline:
                raise Broken(f"{len(scoring)} processes of scoring didn't share the partitions")
            await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.sleep(STEADY_SECONDS)
        await watched.until_caught_up(_START_SECONDS)

    async def _owners(self) -> int:
        """Of partitions that are held."""
        found: int = await self._connection.fetchval(_OWNERS)
        return found


_OWNERS = "SELECT count(DISTINCT owner) FROM stream.ownership WHERE service = 'scoring' AND kind = 'partition'"
