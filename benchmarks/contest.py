"""The contest: the same activities, scored by one process of each contestant after the other.

A contestant that runs and has scored a first few is stopped (SIGSTOP) while its topic is filled, then let go: measured
from there until its last score is on its topic. CPU time goes on until it has committed what it read.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.broken import Broken
from benchmarks.broker import Topics
from benchmarks.contestants import Contestant
from benchmarks.fill import Filler, Message
from benchmarks.processes import cpu_seconds

WARM_UP_SHARE = 0.1
_PATIENCE_SECONDS = 120.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Turn:
    """One contestant in one round."""

    name: str
    activities: int
    seconds: float
    per_second: float
    own_cpu_seconds_per_1000: float
    postgres_cpu_seconds_per_1000: float
    broker_cpu_seconds_per_1000: float
    cpu_seconds_per_1000: float


class Contest:
    """Measures one turn at a time."""

    def __init__(self, topics: Topics, filler: Filler, *, postgres_pid: int, broker_pid: int) -> None:
        self._topics = topics
        self._filler = filler
        self._pids = (postgres_pid, broker_pid)

    async def turn(self, contestant: Contestant, messages: Sequence[Message]) -> Turn:
        """All before these must have been read in earlier turns."""
        messages = messages[: round(len(messages) * contestant.share)]
        first = round(len(messages) * WARM_UP_SHARE)
        with contestant.child as child:
            await self._filler.send(messages[:first], contestant.activities)
            await self._until_scored(contestant)
            await self._until_committed(contestant)
            child.pause()
            await self._filler.send(messages[first:], contestant.activities)
            started_at, spent = time.monotonic(), self._spent(child.pid)
            child.resume()
            seconds = await self._until_scored(contestant) - started_at
            await self._until_committed(contestant)
            count = len(messages) - first
            own, postgres, broker = (
                (now - then) * 1_000 / count for now, then in zip(self._spent(child.pid), spent, strict=True)
            )
        return Turn(contestant.name, count, seconds, count / seconds, own, postgres, broker, own + postgres + broker)

    async def _until_scored(self, contestant: Contestant) -> float:
        """The time (monotonic) at which there was a score for each activity."""
        wanted, deadline = await self._topics.count(contestant.activities), time.monotonic() + _PATIENCE_SECONDS
        while (count := await self._topics.count(contestant.scores)) < wanted:
            contestant.child.check()
            if time.monotonic() > deadline:
                raise Broken(f"{contestant.name} scored {count} of {wanted}: {contestant.child.said()}")
            await asyncio.sleep(_LOOK_SECONDS)
        if count > wanted:
            raise Broken(f"{contestant.name} scored {count} of {wanted}: some twice, though nothing failed")
        return time.monotonic()

    async def _until_committed(self, contestant: Contestant) -> None:
        ends, deadline = await self._topics.ends(contestant.activities), time.monotonic() + _PATIENCE_SECONDS
        while await self._topics.committed(contestant.group, contestant.activities) != ends:
            if time.monotonic() > deadline:
                raise Broken(f"{contestant.name} did not commit all that it read: {contestant.child.said()}")
            await asyncio.sleep(_LOOK_SECONDS * 5)

    def _spent(self, pid: int) -> Sequence[float]:
        return [cpu_seconds(member) for member in (pid, *self._pids)]
