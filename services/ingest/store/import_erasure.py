"""Where files name a lead that is erased: chunks that aren't read yet, and rows that were refused."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from services.ingest.model import Identifier
from services.ingest.store import imports_sql as sql
from services.ingest.store.imports import Chunk

Connection = Any


class ImportErasureStore:
    """What is rewritten must still be what was read; else it is to be read again."""

    async def identifiers_of(self, pool: Connection, lead_ids: Sequence[UUID]) -> list[Identifier]:
        return [(kind, value) for kind, value in await pool.fetch(sql.IDENTIFIERS, sorted(lead_ids))]

    async def plans(self, pool: Connection) -> list[tuple[UUID, str]]:
        """Of the files that aren't read to their end."""
        return [(import_id, plan) for import_id, plan in await pool.fetch(sql.PLANS)]

    async def chunk_after(self, pool: Connection, import_id: UUID, number: int) -> Chunk | None:
        row = await pool.fetchrow(sql.CHUNKS_AFTER, import_id, number)
        return None if row is None else Chunk(*row)

    async def rewrite(self, pool: Connection, import_id: UUID, chunk: Chunk, body: bytes, rows: int) -> bool:
        """What was begun with the former text is refused from now on."""
        return await pool.fetchval(sql.REWRITE, import_id, chunk.number, chunk.body, body, rows) is not None

    async def refusals_after(self, pool: Connection, import_id: UUID, number: int) -> list[tuple[UUID, int, bytes]]:
        """Some of them, in the order of their keys."""
        return [(row[0], row[1], row[2]) for row in await pool.fetch(sql.REFUSALS_AFTER, import_id, number)]

    async def rewrite_refused(self, pool: Connection, place: tuple[UUID, int], former: bytes, body: bytes) -> bool:
        return await pool.fetchval(sql.REWRITE_REFUSED, *place, former, body) is not None
