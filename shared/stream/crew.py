"""The runners of one service in this process, and who decides which partitions they run (docs/adr/0009).

An assignment may be wrong for a moment, and two processes then run one partition: the epoch decides who commits.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

import structlog

from shared.stream.metrics import Metrics
from shared.stream.runner import Runner

log = structlog.get_logger()

# Then a runner is cancelled: in mid-step it rolls back, and whoever has the partition next makes the step again.
STOP_SECONDS: Final = 10.0
RENEW_SECONDS: Final = 1.0
RENEW_SECONDS_MAX: Final = 10.0
# In these states a runner has its partition: it works, or knows why not.
OWNING: Final = frozenset({"running", "gap", "out of range", "stopped"})


class Assignment(Protocol):
    """Who decides which partitions a crew holds."""

    async def run(self, crew: "Crew") -> None:
        """Calls `crew.hold` whenever the decision changes, until cancelled. It is cancelled after the crew stopped."""


class Crew:
    """Runs one runner for each partition held. `stop` ends `run`; nothing is held after it."""

    def __init__(self, service: str, make_runner: Callable[[int], Runner], metrics: Metrics) -> None:
        self.service = service
        self._make_runner = make_runner
        self._metrics = metrics
        self._log = log.bind(service=service)
        self._posts: dict[int, _Post] = {}
        self._holding = asyncio.Lock()
        self._group: asyncio.TaskGroup | None = None
        self._started = asyncio.Event()
        self._stopping = asyncio.Event()
        metrics.partitions_owned.labels(service).set_function(lambda: len(self.owned))

    @property
    def runners(self) -> Mapping[int, Runner]:
        """The runner of each partition held, whatever its state."""
        return {partition: post.runner for partition, post in self._posts.items()}

    @property
    def owned(self) -> frozenset[int]:
        """The partitions held whose runners own them, as far as those know."""
        return frozenset(partition for partition, runner in self.runners.items() if runner.state in OWNING)

    async def hold(self, partitions: Collection[int]) -> None:
        """Holds exactly these partitions: starts what is missing; returns once what is too many has stopped."""
        await self._started.wait()
        async with self._holding:
            wanted = frozenset() if self._stopping.is_set() else frozenset(partitions)
            for partition in sorted(wanted - self._posts.keys()):
                self._start(partition)
            await self._drop([post for partition, post in self._posts.items() if partition not in wanted])

    async def run(self) -> None:
        """Supervises the runners until `stop`. Cancelled, it cancels them."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._started.set()
                await self._stopping.wait()
                await self.hold(())
        finally:
            self._stopping.set()

    def stop(self) -> None:
        """Lets every runner finish its step, gives the partitions back, and ends `run`."""
        self._stopping.set()

    def _start(self, partition: int) -> None:
        assert self._group is not None
        post = _Post(partition, self._make_runner(partition))
        self._posts[partition] = post
        post.task = self._group.create_task(self._keep(post), name=f"{self.service}/{partition}")

    async def _drop(self, posts: Collection["_Post"]) -> None:
        tasks = []
        for post in posts:
            post.is_dropped.set()
            post.runner.stop()
            if post.task is not None:
                tasks.append(post.task)
        if not tasks:
            return
        late = (await asyncio.wait(tasks, timeout=STOP_SECONDS))[1]
        for task in late:
            self._log.warning("reader_cancelled", reader=task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _keep(self, post: "_Post") -> None:
        """Runs the partition until it is dropped: one runner after another, should a runner lose its ownership."""
        time = asyncio.get_running_loop().time
        pause = RENEW_SECONDS
        try:
            while True:
                began_at = time()
                await post.runner.run()
                if time() - began_at > RENEW_SECONDS_MAX:
                    pause = RENEW_SECONDS
                if await post.is_dropped_within(pause):
                    return
                pause = min(2 * pause, RENEW_SECONDS_MAX)
                post.runner = self._make_runner(post.partition)
        finally:
            del self._posts[post.partition]


class _Post:
    """One partition held."""

    def __init__(self, partition: int, runner: Runner) -> None:
        self.partition = partition
        self.runner = runner
        self.is_dropped = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def is_dropped_within(self, seconds: float) -> bool:
        """True at once when it is dropped, False after these seconds."""
        try:
            async with asyncio.timeout(seconds):
                return await self.is_dropped.wait()
        except TimeoutError:
            return False


class Alone:
    """Implements `Assignment` for a process that shares its partitions with no other: it holds them all."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    async def run(self, crew: Crew) -> None:
        await crew.hold(range(self._partitions))
        await asyncio.Event().wait()
