"""A file on its way in: read bit by bit, judged by its header and its first rows, and durable chunk by chunk.

Held of it is one piece and what isn't whole yet. An upload that doesn't come to its end leaves nothing.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from services.ingest.handler.import_bodies import ImportBodies
from services.ingest.model import Refused
from services.ingest.store.imports import Begun, Chunk, File, ImportStore
from services.ingest.vendors.csv_columns import places_of
from services.ingest.vendors.csv_rows import Plan, RowReader, sample_of
from services.ingest.vendors.csv_text import Block, Blocks, Decoder, Unreadable
from services.ingest.vendors.vendor import SourceConfig
from shared.db.faults import DATABASE_ERRORS
from shared.http.problems import FieldError, Problem

log = structlog.get_logger(component="imports")

PIECE_BYTES: Final = 256 * 1024
SAMPLE_ROWS: Final = 100
ERRORS_SHOWN_MAX: Final = 20
PENDING_LIMIT: Final = "imports_pending"
RETRY_SECONDS: Final = 60
_NO_DIGEST: Final = "0" * 64


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the query and the headers of an upload say."""

    config: SourceConfig
    uploaded_by: str
    charset: str | None
    mapping: dict[str, str | None]
    type: str | None
    default_type: str
    time_zone: str
    time_format: str | None


@dataclass(frozen=True, kw_only=True)
class UploadParts:
    """What every upload works with; `main` puts it together."""

    store: ImportStore
    pool: Any
    bodies: ImportBodies
    new_id: Callable[[], UUID]
    now: Callable[[], datetime]
    event_bytes_max: int
    pending_max: int
    on_limit: Callable[[str], None]


class Upload:
    """One file."""

    def __init__(self, parts: UploadParts, asked: Asked) -> None:
        self._parts = parts
        self._asked = asked
        self._decoder = Decoder(asked.charset)
        self._blocks = Blocks()
        self._sha256 = hashlib.sha256()
        self._bytes = 0
        self._told_bytes = 0  # of those, what earlier chunks count for
        self._rows = 0
        self._chunks = 0
        self._import_id: UUID | None = None

    async def take(self, pieces: AsyncIterator[bytes]) -> Any:
        """The import's row once all of the file is durable. Raises Problem 422, 429 or what `pieces` raises."""
        try:
            async with aclosing(_gathered(pieces)) as gathered:
                async for piece in gathered:
                    await self._add(await asyncio.to_thread(self._read, piece, is_last=False))
            await self._add(await asyncio.to_thread(self._read, b"", is_last=True))
            if self._import_id is None:
                raise self._empty()
            file = File(self._sha256.hexdigest(), self._bytes, self._rows)
            return await self._parts.store.finish(self._parts.pool, self._import_id, file)
        except BaseException:
            await self._discard()
            raise

    def _read(self, data: bytes, *, is_last: bool) -> Sequence[Block]:
        self._sha256.update(data)
        self._bytes += len(data)
        try:
            return self._blocks.feed(self._decoder.feed(data, is_last=is_last), is_last=is_last)
        except Unreadable as unreadable:
            raise Problem(422, "Unreadable file", errors=[FieldError("file", str(unreadable))]) from None

    async def _add(self, blocks: Sequence[Block]) -> None:
        for block in blocks:
            if self._import_id is None:
                self._import_id = await self._begin(block)
            body = await asyncio.to_thread(self._parts.bodies.pack, block.text)
            size, self._told_bytes = self._bytes - self._told_bytes, self._bytes
            chunk = Chunk(self._chunks, block.line, block.records, size, body)
            await self._parts.store.add(self._parts.pool, self._import_id, chunk)
            self._chunks += 1
            self._rows += block.records

    async def _begin(self, first: Block) -> UUID:
        """Once the header and some rows are here: what they tell to be wrong is told before the rest is taken."""
        plan = self._plan()
        await asyncio.to_thread(self._judge, plan, first)
        parts, asked = self._parts, self._asked
        id = parts.new_id()
        begun = Begun(id, asked.config.id, asked.uploaded_by, msgspec.json.encode(plan).decode())
        if not await parts.store.begin(parts.pool, begun, parts.pending_max):
            parts.on_limit(PENDING_LIMIT)
            raise Problem(
                429,
                "Too many imports",
                f"{parts.pending_max} files are being uploaded, waiting or read; allowed: {parts.pending_max}.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        return id

    def _plan(self) -> Plan:
        asked, config = self._asked, self._asked.config
        header = self._blocks.header or ()
        try:
            places = places_of(header, asked.mapping, config.settings, has_type=asked.type is not None)
        except Refused as refused:
            raise Problem(422, "Invalid file", errors=[FieldError(*fault) for fault in refused.faults]) from None
        return Plan(
            source_id=config.id,
            source=config.name,
            kind=config.kind,
            team=config.team,
            settings=config.settings.model_dump(include={"events", "ids", "campaign", "campaigns", "historical"}),
            separator=self._blocks.separator or ",",
            header=header,
            places=places,
            type=asked.type or asked.default_type,
            time_zone=asked.time_zone,
            time_format=asked.time_format,
        )

    def _judge(self, plan: Plan, first: Block) -> None:
        """Raises Problem 422 if none of the first rows is acceptable."""
        reader = RowReader(plan, _NO_DIGEST, event_bytes_max=self._parts.event_bytes_max)
        found = reader.read(sample_of(first, plan.separator, SAMPLE_ROWS), self._parts.now())
        if found.rows or found.ignored or not found.refused:
            return
        errors = [
            FieldError(f"line {row.line}: {fault.path}" if fault.path else f"line {row.line}", fault.message)
            for row in found.refused[:ERRORS_SHOWN_MAX]
            for fault in row.faults
        ]
        count = len(found.refused)
        raise Problem(422, "No acceptable row", f"All of the first {count} rows were refused.", errors=errors)

    def _empty(self) -> Problem:
        if self._blocks.header is None:
            return Problem(422, "Invalid file", errors=[FieldError("file", "is empty")])
        self._plan()
        return Problem(422, "Invalid file", errors=[FieldError("file", "has a header, and no row below it")])

    async def _discard(self) -> None:
        """Whatever is left of it now is found by the sweeper."""
        if self._import_id is None:
            return
        try:
            await asyncio.shield(self._parts.store.discard(self._parts.pool, self._import_id))
        except DATABASE_ERRORS as error:
            log.warning("upload_left", import_id=str(self._import_id), kind=type(error).__name__)


async def _gathered(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Small pieces put together: each goes to a thread and back."""
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
