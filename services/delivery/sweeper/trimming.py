"""Forgets, in bounded passes, what is older than the retention."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import structlog

from services.delivery.metrics import Metrics
from services.delivery.store import trim
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS

log = structlog.get_logger()

PAUSE_SECONDS: Final = 60.0


async def trim_for_ever(pool: Any, clock: Clock, metrics: Metrics, retention: timedelta) -> None:
    """Pass after pass while one finds as much as it may take; else a minute's rest."""
    while True:
        is_more = False
        try:
            bodies, given_up, deliveries = await trim.trim(pool, clock.now() - retention)
            metrics.dead.inc(given_up)
            metrics.forgotten.labels("events").inc(bodies)
            metrics.forgotten.labels("deliveries").inc(deliveries)
            is_more = trim.ROWS_PER_TRIM in (bodies, given_up, deliveries)
        except DATABASE_ERRORS as error:
            log.warning("forgetting_retried", kind=type(error).__name__)
        await asyncio.sleep(0.05 if is_more else PAUSE_SECONDS)
