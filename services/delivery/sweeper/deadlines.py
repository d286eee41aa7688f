"""Ends what takes too long: one timer for everything under way, since one for each costs a tenth of a post."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

LOOK_SECONDS: Final = 0.1

Answer = TypeVar("Answer")


class Deadlines:
    """When each task that waits has to be through with it; looked at every `LOOK_SECONDS` while there is one."""

    def __init__(self) -> None:
        self._ends: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def within(self, seconds: float, answer: Awaitable[Answer]) -> Answer:
        """The answer, or TimeoutError when it takes longer, at most a look later. As with `asyncio.timeout`, a task
        that somebody else cancelled meanwhile stays cancelled."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancelling = task.cancelling()
        self._ends[task] = loop.time() + seconds
        if self._timer is None:
            self._timer = loop.call_later(LOOK_SECONDS, self._look)
        try:
            return await answer
        except asyncio.CancelledError as error:
            if task in self._late and task.uncancel() <= cancelling:
                raise TimeoutError from error
            raise
        finally:
            self._ends.pop(task, None)
            self._late.discard(task)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task in [task for task, at in self._ends.items() if at <= now]:
            del self._ends[task]
            self._late.add(task)
            task.cancel()
        self._timer = loop.call_later(LOOK_SECONDS, self._look) if self._ends else None
