"""Carries out the erasures that sources ask for, the way that `DELETE /v1/leads/{lead}` does (ADR 14), has the log told
of those that a call left untold, and notes which are done."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import structlog

from services.api.handler import Eraser
from services.api.store.database import ACTING, Row
from services.api.store.erasure import ErasureStore
from shared.clock import Clock
from shared.errors import Surroundings, Unavailable
from shared.http.auth import Principal

LOOK_SECONDS: Final = 1.0
AT_ONCE: Final = 20
# A call tells the log at once: what is older was left by a process that ended, or by a log that was away.
UNTOLD_FOR: Final = timedelta(seconds=10)
ROLE: Final = "source"

log = structlog.get_logger(component="erasures")


class Erasures:
    """`run` runs until cancelled, in every process: that two of them carry out the same wish changes nothing."""

    def __init__(self, store: ErasureStore, eraser: Eraser, clock: Clock) -> None:
        self._store = store
        self._eraser = eraser
        self._clock = clock

    async def run(self) -> None:
        while True:
            for turn in (self.carry_out, self.tell, self.note_done):
                await _retried(turn)
            await asyncio.sleep(LOOK_SECONDS)

    async def carry_out(self) -> None:
        """What sources wish for, some at the same time: each waits for the line, while that lags. No more at a look, so
        that lists and reports, which stand still for each, go on in between."""
        wishes = await self._store.wishes(AT_ONCE)
        ended = await asyncio.gather(*map(self._carry_out, wishes), return_exceptions=True)
        for error in filter(None, ended):
            raise error

    async def _carry_out(self, wish: Row) -> None:
        by = f"source:{wish['source_id']}"
        with _acting(by, wish["source"]):
            await self._eraser.erase(wish["lead_id"], by)

    async def tell(self) -> None:
        """The log of what it may not have been told."""
        for erasure in await self._store.untold(self._clock.now() - UNTOLD_FOR, AT_ONCE):
            by = erasure["requested_by"]
            with _acting(by, by):
                await self._eraser.tell(erasure["lead_id"], by)

    async def note_done(self) -> None:
        await self._store.note_done(self._clock.now())


async def _retried(turn: Callable[[], Awaitable[None]]) -> None:
    try:
        await turn()
    except (Unavailable, Surroundings) as error:
        log.warning("erasures_retried", kind=type(error).__name__)


@contextmanager
def _acting(by: str, name: str) -> Iterator[None]:
    """In whose name the audit log has what is done."""
    acting = ACTING.set(Principal(by, name, ROLE, frozenset()))
    try:
        yield
    finally:
        ACTING.reset(acting)
