"""Carries out the erasures that sources ask for, the way that `DELETE /v1/leads/{lead}` does (ADR 14)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from services.api.store.database import ACTING, Row
from services.api.store.erasure import ErasureStore
from shared.clock import Clock, new_id
from shared.errors import Surroundings, Unavailable
from shared.events.activity import LeadErased
from shared.http.auth import Principal

LOOK_SECONDS: Final = 1.0
AT_ONCE: Final = 100
ROLE: Final = "source"

log = structlog.get_logger(component="erasures")


class SourceErasures:
    """`run` runs until cancelled, in every process: that two of them carry out the same wish changes nothing."""

    def __init__(
        self, store: ErasureStore, erase: Callable[[LeadErased, str | None], Awaitable[None]], clock: Clock
    ) -> None:
        self._store = store
        self._erase = erase
        self._clock = clock

    async def run(self) -> None:
        while True:
            try:
                await self.go()
            except (Unavailable, Surroundings) as error:
                log.warning("erasures_retried", kind=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def go(self) -> None:
        """All that is wished for now."""
        while wishes := await self._store.wishes(AT_ONCE):
            for wish in wishes:
                await self._carry_out(wish)

    async def _carry_out(self, wish: Row) -> None:
        """On the log first: a wish stays one until the erasure is noted, so that a crash in between repeats it."""
        now, by = self._clock.now(), f"source:{wish['source_id']}"
        await self._erase(LeadErased(lead_id=wish["lead_id"], id=new_id(), erased_at=now, by=by), None)
        acting = ACTING.set(Principal(by, wish["source"], ROLE, frozenset()))
        try:
            await self._store.ask(wish["lead_id"], now, by)
        finally:
            ACTING.reset(acting)
