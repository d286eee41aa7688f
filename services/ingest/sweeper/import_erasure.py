"""Takes the rows of an erased lead out of files that aren't read yet, and out of refused rows."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog

from services.ingest.handler.import_bodies import ImportBodies
from services.ingest.store.import_erasure import ImportErasureStore
from services.ingest.store.imports import Chunk
from services.ingest.sweeper.forgetting import mention_of, spellings_of
from services.ingest.vendors.csv_erasure import Erased, folded, without
from services.ingest.vendors.csv_rows import Plan, RowReader
from services.ingest.vendors.csv_text import Block
from shared.secret_box import WrongSecretKey

log = structlog.get_logger(component="imports")


class ImportErasure:
    """All bodies are sealed, so that each must be opened and looked through: some 10 MB of a file a second."""

    def __init__(self, store: ImportErasureStore, pool: Any, bodies: ImportBodies) -> None:
        self._store = store
        self._pool = pool
        self._bodies = bodies

    async def drop(self, lead_ids: Sequence[UUID]) -> None:
        """Before their identifiers are forgotten: until then, what is committed meanwhile is put under the old lead."""
        wanted = frozenset(await self._store.identifiers_of(self._pool, lead_ids))
        if not wanted:
            return
        values = [value.lower() for _, value in wanted]
        erased = Erased(wanted, spellings_of(values), mention_of(values))
        for import_id, plan in await self._store.plans(self._pool):
            reader = RowReader(msgspec.json.decode(plan, type=Plan), "", event_bytes_max=0)
            await self._drop_from(import_id, reader, erased)
        await self._drop_refused(erased.mention)

    async def _drop_from(self, import_id: UUID, reader: RowReader, erased: Erased) -> None:
        number = -1
        while chunk := await self._store.chunk_after(self._pool, import_id, number):
            try:
                left = await asyncio.to_thread(self._without, chunk, reader, erased)
            except WrongSecretKey:
                left = None  # nobody can read it; whose turn it is ends the import
            if left is not None:
                body = await asyncio.to_thread(self._bodies.pack, left.text)
                if not await self._store.rewrite(self._pool, import_id, chunk, body, left.records):
                    continue  # it was read to its end meanwhile, or is another one
            number = chunk.number

    def _without(self, chunk: Chunk, reader: RowReader, erased: Erased) -> Block | None:
        block = Block(self._bodies.unpack(chunk.body), chunk.first_line, chunk.rows)
        return without(block, reader, erased)

    async def _drop_refused(self, mention: re.Pattern[str]) -> None:
        import_id, number = UUID(int=0), -1
        while found := await self._store.refusals_after(self._pool, import_id, number):
            for import_id, number, body in found:
                left = await asyncio.to_thread(self._refused_without, body, mention)
                # Only another erasure changes these, and each looks through all of them.
                if left is not None and not await self._store.rewrite_refused(
                    self._pool, (import_id, number), body, left
                ):
                    log.info("refused_rows_changed", import_id=str(import_id))

    def _refused_without(self, body: bytes, mention: re.Pattern[str]) -> bytes | None:
        """None if no row mentions them. What can't be opened, nobody can read; it goes too."""
        try:
            rows = self._bodies.unpack_refused(body)
        except WrongSecretKey:
            return self._bodies.pack_refused([])
        kept = [row for row in rows if mention.search(folded("\n".join(row.cells))) is None]
        return self._bodies.pack_refused(kept) if len(kept) < len(rows) else None
