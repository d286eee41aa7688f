"""The course of the demo: one season and its end, or season after season until somebody stops it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from services.demo.board import Board
from services.demo.change import AccordChange
from services.demo.onlooker import Onlooker
from services.demo.settings import COUNT_SECONDS, DRAW_SECONDS, LOOK_SECONDS, SETTLE_SECONDS, SLOW_PEOPLE, SLOW_SECONDS
from services.demo.traffic import Traffic
from services.demo.view import View
from services.simulate import Season, season
from shared.clock import Clock


class Show:
    """Plays, looks and draws side by side. `check` raises when Accord is no more."""

    def __init__(
        self,
        *,
        board: Board,
        traffic: Traffic,
        change: AccordChange,
        onlooker: Onlooker,
        view: View,
        clock: Clock,
        check: Callable[[], None],
    ) -> None:
        self._board = board
        self._traffic = traffic
        self._change = change
        self._onlooker = onlooker
        self._view = view
        self._clock = clock
        self._check = check
        self._started_at = asyncio.get_running_loop().time()

    async def once(self, stopped: asyncio.Event, seed: int) -> list[str]:
        """Plays one season, waits until every clock has run out and all numbers agree. Returns what doesn't."""
        made = season(seed, self._clock.now())

        def differences() -> list[str]:
            return self._onlooker.differences(people=made.people, duplicates=made.duplicates, bad=made.bad)

        await self._beside(self._first(made), stopped)
        await self._beside(self._settle(differences), stopped)
        found = differences()
        return [*found, "the demo was stopped before its end"] if stopped.is_set() else found

    async def until(self, stopped: asyncio.Event, seed: int) -> None:
        """The season, then slower ones with other people."""
        await self._beside(self._first(season(seed, self._clock.now())), stopped)
        series = 1
        while not stopped.is_set():
            made = season(seed, self._clock.now(), series=series, people=SLOW_PEOPLE, seconds=SLOW_SECONDS)
            await self._beside(self._traffic.play(made), stopped)
            series += 1

    async def _first(self, made: Season) -> None:
        """The season, and the change of the accord that is agreed on meanwhile."""
        await asyncio.gather(self._traffic.play(made), self._change.play())

    async def _settle(self, differences: Callable[[], list[str]]) -> None:
        """Ends when two looks in a row find nothing to wait for, or when there is no use in waiting longer."""
        deadline = self._time() + SETTLE_SECONDS
        quiet_looks = 0
        while quiet_looks < 2 and self._time() < deadline:
            await self._onlooker.look()
            await self._onlooker.count()
            quiet_looks = quiet_looks + 1 if self._traffic.is_at_rest and not differences() else 0
            await asyncio.sleep(LOOK_SECONDS)

    async def _beside(self, course: Coroutine[Any, Any, None], stopped: asyncio.Event) -> None:
        """Runs this course with the view beside it, until it ends or somebody stops the demo."""
        stop: asyncio.Task[Any] = asyncio.create_task(stopped.wait())
        tasks = [asyncio.create_task(course), asyncio.create_task(self._look()), asyncio.create_task(self._draw())]
        try:
            await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in (stop, *tasks):
                task.cancel()
            await asyncio.gather(stop, *tasks, return_exceptions=True)

    async def _look(self) -> None:
        counted_at = 0.0
        while True:
            await self._onlooker.look()
            if self._time() - counted_at >= COUNT_SECONDS:
                await self._onlooker.count()
                counted_at = self._time()
            await asyncio.sleep(LOOK_SECONDS)

    async def _draw(self) -> None:
        while True:
            self._check()
            self._traffic.check()
            self._board.counts.seconds = self._time() - self._started_at
            self._view.show(self._board, self._clock.now())
            await asyncio.sleep(DRAW_SECONDS)

    def _time(self) -> float:
        return asyncio.get_running_loop().time()
