"""Who asked for which lead to be erased, and whether those who don't read it from the log have done so."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import literal, or_, select
from sqlalchemy.dialects.postgresql import insert

from services.api.store.audit_log import AuditLogStore
from services.api.store.database import Database, Row
from services.api.store.tables import ERASED_BY_INGEST, ERASURE_WISHES, ERASURES, LEAD_INDEX, LEAD_WORDS, ROLLED_UP


class ErasureStore:
    """Wishes are kept for good: they are the tombstones that an operator can look up."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._audit_log = AuditLogStore(database)

    async def is_asked(self, lead_id: UUID) -> bool:
        return await self._database.row(select(ERASURES).where(ERASURES.c.lead_id == lead_id)) is not None

    async def ask(self, lead_id: UUID, at: datetime, by: str) -> None:
        """Once; a repeat changes nothing."""
        async with self._database.transaction() as connection:
            asked = insert(ERASURES).values(lead_id=lead_id, requested_at=at, requested_by=by)
            if (await connection.execute(asked.on_conflict_do_nothing())).rowcount:
                await self._audit_log.note(connection, "lead.erased", str(lead_id))

    async def wishes(self, limit: int) -> Sequence[Row]:
        """Leads that sources ask to be erased and nobody has erased, the oldest wish first."""
        asked = select(ERASURES.c.lead_id).where(ERASURES.c.lead_id == ERASURE_WISHES.c.lead_id).exists()
        statement = select(ERASURE_WISHES).where(~asked).order_by(ERASURE_WISHES.c.asked_at).limit(limit)
        return await self._database.rows(statement)

    async def is_forgotten(self, lead_id: UUID) -> bool:
        """By ingest, and by the api's own lists and reports."""
        erased, *held = (
            select(table.c.lead_id).where(table.c.lead_id == lead_id).exists()
            for table in (ERASED_BY_INGEST, LEAD_INDEX, LEAD_WORDS, *ROLLED_UP)
        )
        return await self._database.row(select(literal(1)).where(erased, ~or_(*held))) is not None
