"""Who asked for which lead to be erased, what remains of it, and whether all have done so."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Table, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from services.api.store.audit_log import AuditLogStore
from services.api.store.database import Database, Row
from services.api.store.lists import LOCK
from services.api.store.nobodies import make_nobody
from services.api.store.rollup import ROLL_UP
from services.api.store.tables import (
    ERASED,
    ERASED_BY_INGEST,
    ERASURE_WISHES,
    ERASURES,
    LEAD_INDEX,
    LEAD_WORDS,
    ROLLED_UP,
)
from shared.agreement.versions import Accords

# While it is held nobody else brings reports after the log, nor makes anybody a nobody.
_HOLD_REPORTS: Final = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=LOCK)


class ErasureStore:
    """Wishes are kept for good: they are the tombstones that an operator can look up."""

    def __init__(self, database: Database, accords: Callable[[], Awaitable[Accords]]) -> None:
        self._database = database
        self._accords = accords
        self._audit_log = AuditLogStore(database)

    async def is_asked(self, lead_id: UUID) -> bool:
        return await self._database.row(select(ERASURES).where(ERASURES.c.lead_id == lead_id)) is not None

    async def ask(self, lead_id: UUID, at: datetime, by: str, *, nobody_id: UUID) -> None:
        """Once; a repeat changes nothing. From then on reports count what remains of the lead, under `nobody_id`, and
        no longer the lead."""
        accords = await self._accords()
        asked = insert(ERASURES).values(lead_id=lead_id, requested_at=at, requested_by=by)
        async with self._database.transaction() as connection:
            await connection.execute(_HOLD_REPORTS)
            if (await connection.execute(select(ERASURES).where(ERASURES.c.lead_id == lead_id))).first():
                return
            await make_nobody(connection, lead_id, nobody_id, accords, at)
            await connection.execute(asked)
            for statement in ROLL_UP:
                await connection.execute(statement, {"lead_ids": [lead_id, nobody_id]})

    async def told(self, lead_id: UUID, at: datetime) -> None:
        """The log has it. Noted apart from what remains, whose rows would else be of one transaction with the id."""
        first = update(ERASURES).where(ERASURES.c.lead_id == lead_id, ERASURES.c.told_at.is_(None))
        async with self._database.transaction() as connection:
            if (await connection.execute(first.values(told_at=at))).rowcount:
                await self._audit_log.note(connection, "lead.erased", str(lead_id))

    async def untold(self, asked_before: datetime, limit: int) -> Sequence[Row]:
        """Erasures that somebody asked for and the log may not have."""
        since = ERASURES.c.requested_at < asked_before
        statement = select(ERASURES).where(ERASURES.c.done_at.is_(None), ERASURES.c.told_at.is_(None), since)
        return await self._database.rows(statement.order_by(ERASURES.c.requested_at).limit(limit))

    async def note_done(self, at: datetime) -> None:
        """Of erasures that every service has applied: nothing is held of those leads any more."""
        applied = [_holds(table, ERASURES.c.lead_id) for table in ERASED]
        done = update(ERASURES).where(ERASURES.c.done_at.is_(None), *applied).values(done_at=at)
        async with self._database.transaction() as connection:
            await connection.execute(done)

    async def wishes(self, limit: int) -> Sequence[Row]:
        """Leads that sources ask to be erased and nobody has erased, the oldest wish first."""
        asked = _holds(ERASURES, ERASURE_WISHES.c.lead_id)
        statement = select(ERASURE_WISHES).where(~asked).order_by(ERASURE_WISHES.c.asked_at).limit(limit)
        return await self._database.rows(statement)

    async def is_forgotten(self, lead_id: UUID) -> bool:
        """By ingest, and by the api's own lists and reports."""
        erased, *held = (_holds(table, lead_id) for table in (ERASED_BY_INGEST, LEAD_INDEX, LEAD_WORDS, *ROLLED_UP))
        return await self._database.row(select(literal(1)).where(erased, ~or_(*held))) is not None


def _holds(table: Table, lead_id: Any) -> ColumnElement[bool]:
    return select(table.c.lead_id).where(table.c.lead_id == lead_id).exists()
