"""Reads files that were sent, a chunk of each in turn, and commits their rows as events: at a bounded pace, and resting
as long as it works, so that what is posted meanwhile goes first. Who was killed is followed where its last commit was.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from services.ingest.handler.commits import Outcome, Submission
from services.ingest.handler.import_bodies import ImportBodies
from services.ingest.handler.intake import Publisher
from services.ingest.metrics import Metrics
from services.ingest.settings import IngestSettings
from services.ingest.store.imports import Chunk, Claimed, ImportStore, Step
from services.ingest.vendors.csv_rows import BlockRead, Key, Plan, RefusedRow, Row, RowReader
from services.ingest.vendors.csv_text import Block
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS
from shared.errors import Unavailable
from shared.secret_box import WrongSecretKey
from shared.stream.faults import is_poison, kind_of

log = structlog.get_logger(component="imports")

LOOK_SECONDS: Final = 1.0
TRIM_SECONDS: Final = 60.0
LAST_WRITE_SECONDS: Final = 2.0
ROWS_AT_ONCE: Final = 200  # what is posted meanwhile waits for as many
FIRST_ERRORS: Final = 20
WRONG_KEY: Final = "what is kept of it was sealed with a key that ACCORD_SECRET_KEY no longer has: send the file again"


@dataclass(frozen=True, kw_only=True)
class ImportingParts:
    """What the loop works with; `main` puts it together."""

    store: ImportStore
    pool: Any
    bodies: ImportBodies
    publisher: Publisher
    clock: Clock
    new_id: Callable[[], UUID]
    metrics: Metrics
    settings: IngestSettings


class Importing:
    """Runs until cancelled, in every process of ingest; no two read the same file at once."""

    def __init__(self, parts: ImportingParts) -> None:
        self._parts = parts
        self._id = parts.new_id()
        self._trimmed_at = float("-inf")

    async def run(self) -> None:
        try:
            while True:
                rest = LOOK_SECONDS
                try:
                    await self._keep_house()
                    if await self.take_turn():
                        rest = 0
                except Unavailable as error:
                    rest = float(error.retry_after_seconds)
                    log.info("import_waits", reason=str(error))
                except DATABASE_ERRORS as error:
                    log.warning("import_retried", kind=type(error).__name__)
                await asyncio.sleep(rest)
        finally:
            await self._let_go()

    async def take_turn(self) -> bool:
        """Reads one chunk of the file whose turn it is. False if there is none."""
        parts = self._parts
        claimed = await parts.store.claim(parts.pool, self._id)
        if claimed is None:
            return False
        began = monotonic()
        found = await parts.store.next_chunk(parts.pool, claimed.import_id)
        if found is None:
            await self._end(claimed, None)
            return True
        chunk, is_last = found
        try:
            read = await asyncio.to_thread(self._read, claimed, chunk)
        except WrongSecretKey:
            await self._end(claimed, WRONG_KEY)
            return True
        await self._commit(Step(claimed, self._id, chunk, is_last), read, began)
        return True

    def _read(self, claimed: Claimed, chunk: Chunk) -> BlockRead:
        plan = msgspec.json.decode(claimed.plan, type=Plan)
        reader = RowReader(plan, claimed.sha256, event_bytes_max=self._parts.settings.event_bytes_max)
        block = Block(self._parts.bodies.unpack(chunk.body), chunk.first_line, chunk.rows)
        return reader.read(block, self._parts.clock.now())

    async def _commit(self, plain: Step, read: BlockRead, began: float) -> None:
        """All of a chunk that isn't committed yet, some rows at a time."""
        parts, settings, claimed = self._parts, self._parts.settings, plain.claimed
        rows: Sequence[Row] = read.rows
        first = plain
        if claimed.after_at is None or claimed.after_line is None:
            first = await self._with_refused(first, read)
            if first.failure is not None:
                rows = ()
        else:
            after = Key(claimed.after_at, claimed.after_line)
            rows = [row for row in rows if row.key > after]
        at_once = min(ROWS_AT_ONCE, settings.import_rows_per_second)  # so that no rest is longer than the lease
        for start in range(0, max(1, len(rows)), at_once):
            some = rows[start : start + at_once]
            is_done = start + at_once >= len(rows)
            step = first if start == 0 else plain
            step = step._replace(claimed=claimed, after=None if is_done else some[-1].key, rows=step.rows + len(some))
            if not await self._commit_some(step, some):
                return
            claimed = claimed._replace(moves=claimed.moves + 1)
            took = monotonic() - began
            await asyncio.sleep(max(took, len(some) / settings.import_rows_per_second - took))
            began = monotonic()
            if not is_done and await parts.store.moves(parts.pool, claimed.import_id) != claimed.moves:
                return  # somebody in it was erased: it is read anew

    async def _with_refused(self, step: Step, read: BlockRead) -> Step:
        """The first step of a chunk writes down what of it is refused."""
        refused, claimed = read.refused, step.claimed
        failure = None
        if claimed.rejected + len(refused) > self._parts.settings.import_rejected_max:
            self._parts.metrics.limit_reached.labels("import_rejected").inc()
            failure = (
                f"more than {self._parts.settings.import_rejected_max} rows were refused; what was accepted before "
                "stays: mend the file and send it again"
            )
        return step._replace(
            rows=len(refused) + read.ignored,
            rejected=len(refused),
            ignored=read.ignored,
            first_errors=_listed(refused[: max(0, FIRST_ERRORS - claimed.rejected)]),
            refused=await asyncio.to_thread(self._parts.bodies.pack_refused, refused) if refused else None,
            failure=failure,
        )

    async def _commit_some(self, step: Step, rows: Sequence[Row]) -> bool:
        """False if the import has to be looked at anew. Raises Unavailable."""
        parts = self._parts

        def progress(outcome: Outcome) -> Any:
            return parts.store.progress(step, outcome.accepted, outcome.duplicates)

        submission = Submission([row.posted for row in rows], None, progress=progress)
        try:
            outcome = await parts.publisher.publish(submission)
        except Exception as error:
            if not is_poison(error):
                raise
            if await parts.store.moves(parts.pool, step.claimed.import_id) == step.claimed.moves:
                lines = sorted(row.key.line for row in rows)
                where = f"of lines {lines[0]} to {lines[-1]}" if lines else "that were refused"
                await self._end(step.claimed, f"rows {where} can't be committed ({kind_of(error)})")
            return False
        counts = {"accepted": outcome.accepted, "duplicate": outcome.duplicates}
        for name, count in {**counts, "rejected": step.rejected, "ignored": step.ignored}.items():
            parts.metrics.import_rows.labels(name).inc(count)
        if step.state != "running":
            self._tell(step.state, step.claimed)
        return True

    async def _end(self, claimed: Claimed, failure: str | None) -> None:
        await self._parts.store.end(self._parts.pool, claimed, failure)
        self._tell("done" if failure is None else "failed", claimed)

    def _tell(self, outcome: str, claimed: Claimed) -> None:
        self._parts.metrics.imports.labels(outcome).inc()
        log.info("import_ended", outcome=outcome, import_id=str(claimed.import_id))

    async def _keep_house(self) -> None:
        parts = self._parts
        count, seconds = await parts.store.pending(parts.pool)
        parts.metrics.imports_pending.set(count)
        parts.metrics.imports_oldest_seconds.set(seconds)
        if monotonic() - self._trimmed_at >= TRIM_SECONDS:
            days = timedelta(days=parts.settings.import_kept_days)
            not_after, bytes_max = parts.clock.now() - days, parts.settings.import_kept_bytes_max
            if trimmed := await parts.store.trim(parts.pool, not_after, bytes_max):
                parts.metrics.limit_reached.labels("import_kept_bytes").inc(trimmed)
                log.warning("refused_rows_trimmed", chunks=trimmed)
            self._trimmed_at = monotonic()

    async def _let_go(self) -> None:
        """Who goes on needn't wait for the lease's end."""
        try:
            await asyncio.wait_for(self._parts.store.release(self._parts.pool, self._id), LAST_WRITE_SECONDS)
        except (TimeoutError, *DATABASE_ERRORS) as error:
            log.warning("import_not_released", kind=type(error).__name__)


def _listed(rows: Sequence[RefusedRow]) -> str:
    shown = [{"line": row.line, "errors": [fault._asdict() for fault in row.faults]} for row in rows]
    return msgspec.json.encode(shown).decode()
