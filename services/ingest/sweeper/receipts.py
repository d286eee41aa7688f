"""Writes down what was noted of each source, keeps what is kept within its bounds, and replays what was asked for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from services.ingest.handler.intake import Intake, Limits, read_request
from services.ingest.metrics import Metrics
from services.ingest.model.notes import Notes
from services.ingest.settings import IngestSettings
from services.ingest.sources import ConfiguredBook
from services.ingest.store.receipts import Asked, Bounds, ReceiptStore
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS
from shared.errors import Unavailable
from shared.secret_box import SecretBox, WrongSecretKey

log = structlog.get_logger(component="receipts")

WRITE_SECONDS: Final = 1.0
TRIM_SECONDS: Final = 60.0
LAST_WRITE_SECONDS: Final = 2.0
REPLAYED_AT_ONCE: Final = 20


@dataclass(frozen=True)
class Parts:
    """What the loops work with; `main` puts it together."""

    store: ReceiptStore
    pool: Any
    notes: Notes
    clock: Clock
    new_id: Callable[[], UUID]
    metrics: Metrics
    settings: IngestSettings


class Writing:
    """Once a second, and once more at the end. Trims once a minute."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._trimmed_at = float("-inf")

    async def run(self) -> None:
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                try:
                    await self._write()
                    await self._trim()
                except DATABASE_ERRORS as error:
                    log.warning("receipts_retried", kind=type(error).__name__)
        finally:
            try:
                await asyncio.wait_for(self._write(), LAST_WRITE_SECONDS)
            except (TimeoutError, *DATABASE_ERRORS) as error:
                log.warning("receipts_lost", kind=type(error).__name__)

    async def _write(self) -> None:
        parts = self._parts
        gathered = parts.notes.take()
        if not gathered:
            return
        ids = {source_id: [parts.new_id() for _ in one.recent] for source_id, one in gathered.items()}
        try:
            async with parts.pool.acquire() as connection:
                await parts.store.write(connection, gathered, ids)
        except DATABASE_ERRORS:
            parts.notes.put_back(gathered)
            raise

    async def _trim(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._trimmed_at < TRIM_SECONDS:
            return
        parts, settings = self._parts, self._parts.settings
        not_before = parts.clock.now() - timedelta(days=settings.kept_days)
        bounds = Bounds(not_before, settings.kept_per_source, settings.kept_bytes_max)
        parts.metrics.kept_trimmed.inc(await parts.store.trim(parts.pool, bounds))
        self._trimmed_at = now


class Replaying:
    """Takes kept requests once more when a person asked for it: the api writes down which."""

    def __init__(self, parts: Parts, intake: Intake, book: ConfiguredBook, box: SecretBox, public_url: str) -> None:
        self._parts = parts
        self._intake = intake
        self._book = book
        self._box = box
        self._public_url = public_url

    async def run(self) -> None:
        while True:
            try:
                replayed = await self._replay_some()
            except (Unavailable, *DATABASE_ERRORS) as error:
                log.warning("replays_retried", kind=type(error).__name__)
                replayed = 0
            if replayed < REPLAYED_AT_ONCE:
                await asyncio.sleep(WRITE_SECONDS)

    async def _replay_some(self) -> int:
        """In the order received."""
        parts = self._parts
        asked = await parts.store.asked(parts.pool, REPLAYED_AT_ONCE)
        for one in asked:
            is_kept = await self._is_kept(one)
            await parts.store.close(parts.pool, one.receipt_id, is_kept=is_kept, at=parts.clock.now())
            parts.metrics.replays.labels("kept" if is_kept else "done").inc()
        return len(asked)

    async def _is_kept(self, asked: Asked) -> bool:
        try:
            config = await self._book.get(str(asked.source_id))
            sent = read_request(self._box.open(asked.sent), self._public_url)
        except (Unavailable, WrongSecretKey) as error:
            log.error("receipt_not_replayed", receipt_id=str(asked.receipt_id), kind=type(error).__name__)
            return True
        if config is None:
            return True
        settings = self._parts.settings
        limits = Limits(settings.event_bytes_max, settings.segment_batch_events_max, settings.kept_body_bytes_max)
        return not await self._intake.replay(sent, config, limits)
