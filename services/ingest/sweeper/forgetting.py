"""Forgets the ids of events that are older than the days they are kept for, a bounded batch at a time."""

import asyncio
from typing import Any

import structlog

from services.ingest.metrics import Metrics
from services.ingest.store.identities import TRIM_ROWS, IdentityStore
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS

log = structlog.get_logger()

PAUSE_SECONDS = 60.0


class Forgetting:
    """Runs until cancelled."""

    def __init__(self, store: IdentityStore, pool: Any, clock: Clock, days: int, metrics: Metrics) -> None:
        self._store = store
        self._pool = pool
        self._clock = clock
        self._days = days
        self._metrics = metrics

    async def run(self) -> None:
        while True:
            try:
                forgotten = await self._store.forget(self._pool, self._clock.now(), self._days)
            except DATABASE_ERRORS as error:
                log.warning("forgetting_retried", service="ingest", kind=type(error).__name__)
                forgotten = 0
            self._metrics.seen_trimmed.inc(forgotten)
            if forgotten < TRIM_ROWS:
                await asyncio.sleep(PAUSE_SECONDS)
