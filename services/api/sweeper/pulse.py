"""Watches how many events each service reads and emits, so that somebody who asks is told its pace at once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import structlog

from services.api.model import Pace, Sample, pace_of
from shared.errors import Surroundings, Unavailable

LOOK_SECONDS: Final = 5.0
LOOKS_KEPT: Final = 13  # a minute from the first to the last

log = structlog.get_logger(component="pulse")


class Pulse:
    """`run` runs until cancelled. `totals` gives rows with `service`, `read` and `emitted`."""

    def __init__(self, totals: Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]) -> None:
        self._totals = totals
        self._looks: deque[Sample] = deque(maxlen=LOOKS_KEPT)

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except (Unavailable, Surroundings) as error:
                log.warning("pulse_not_read", kind=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        counted = {row["service"]: (row["read"], row["emitted"]) for row in await self._totals()}
        self._looks.append(Sample(asyncio.get_running_loop().time(), counted))

    def pace(self, service: str) -> Pace:
        """Over the last minute, or as long as has been watched."""
        return pace_of(self._looks, service)
