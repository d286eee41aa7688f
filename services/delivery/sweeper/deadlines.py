"""Ends what takes too long: one timer for everything under way, since one for each costs a tenth of a post."""

import asyncio
from types import TracebackType
from typing import Final, Self

LOOK_SECONDS: Final = 0.1


class Deadlines:
    """When each task that waits has to be through with it; looked at every `LOOK_SECONDS` while there is one."""

    def __init__(self) -> None:
        self._ends: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> "Within":
        """What the task does inside of this ends with TimeoutError when it takes longer, at most a look later."""
        return Within(self, seconds)

    def begin(self, task: asyncio.Task[object], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._ends[task] = loop.time() + seconds
        if self._timer is None:
            self._timer = loop.call_later(LOOK_SECONDS, self._look)

    def end(self, task: asyncio.Task[object]) -> bool:
        """Whether it was cancelled for its time."""
        self._ends.pop(task, None)
        if task not in self._late:
            return False
        self._late.remove(task)
        return True

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task in [task for task, at in self._ends.items() if at <= now]:
            del self._ends[task]
            self._late.add(task)
            task.cancel()
        self._timer = loop.call_later(LOOK_SECONDS, self._look) if self._ends else None


class Within:
    """As `asyncio.timeout`: a task that somebody else cancelled meanwhile stays cancelled."""

    __slots__ = ("_cancelling", "_deadlines", "_seconds", "_task")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self._deadlines = deadlines
        self._seconds = seconds

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._deadlines.begin(task, self._seconds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        is_late = self._deadlines.end(self._task) and self._task.uncancel() <= self._cancelling
        if is_late and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error
