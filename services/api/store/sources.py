"""Sources, with their secrets sealed; what they sent, from the views of ingest; and which replays were asked for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, and_, case, cast, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.store.configured import SOURCE, shown
from services.api.store.cursors import Keys, after
from services.api.store.database import Database, Row
from services.api.store.tables import RECEIPT_REPLAYS, RECEIPTS, SOURCE_KINDS, SOURCES

KINDS_SHOWN_MAX: Final = 500
_LISTED: Final = tuple(column for column in RECEIPTS.c if column.name != "sent")


class SourceStore:
    """Secrets come in and go out sealed."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def source(self, source_id: UUID) -> Row | None:
        return await self.database.row(select(*shown(SOURCE)).where(_is(source_id)))

    async def add(self, connection: AsyncConnection, values: Mapping[str, Any]) -> Row:
        return await _one(connection, insert(SOURCES).values(values).returning(*shown(SOURCE)))

    async def locked(self, connection: AsyncConnection, source_id: UUID) -> Row | None:
        """The row with its sealed secret, which nobody else changes meanwhile."""
        statement = select(*shown(SOURCE), SOURCES.c.secret).where(_is(source_id)).with_for_update()
        row = (await connection.execute(statement)).mappings().first()
        return dict(row) if row is not None else None

    async def change(self, connection: AsyncConnection, source_id: UUID, values: Mapping[str, Any]) -> Row:
        """Ingest knows within a second."""
        statement = update(SOURCES).where(_is(source_id)).values(**values, changed_at=func.clock_timestamp())
        return await _one(connection, statement.returning(*shown(SOURCE)))

    async def delete(self, connection: AsyncConnection, source_id: UUID) -> bool:
        """Its secrets go at once. False if there is no such source."""
        now = func.clock_timestamp()
        statement = update(SOURCES).where(_is(source_id)).values(secret="", deleted_at=now, changed_at=now)
        return bool((await connection.execute(statement)).rowcount)

    async def kinds(self, source_id: UUID) -> Sequence[Row]:
        """What it sent, by kind, the latest first."""
        statement = select(SOURCE_KINDS).where(SOURCE_KINDS.c.source_id == source_id)
        return await self.database.rows(statement.order_by(SOURCE_KINDS.c.last_at.desc()).limit(KINDS_SHOWN_MAX))

    async def traffic(self, source_ids: Sequence[UUID]) -> Sequence[Row]:
        """By source and standing: how much, and when the first and the last came."""
        kinds = SOURCE_KINDS.c
        is_known = func.count(kinds.first_at) == func.count()
        statement = select(
            kinds.source_id,
            kinds.standing,
            cast(func.sum(kinds.events), BigInteger).label("events"),
            case((is_known, func.min(kinds.first_at))).label("first_at"),
            func.max(kinds.last_at).label("last_at"),
        )
        chosen = statement.where(kinds.source_id.in_(source_ids))
        return await self.database.rows(chosen.group_by(kinds.source_id, kinds.standing).order_by(kinds.standing))

    async def events(self, source_id: UUID, standings: Sequence[str], keys: Keys | None, limit: int) -> Sequence[Row]:
        """The latest first; of all standings without any."""
        columns = [(RECEIPTS.c.received_at, True), (RECEIPTS.c.receipt_id, True)]
        statement = select(*_LISTED, RECEIPTS.c.sent.is_not(None).label("is_kept"))
        statement = statement.where(RECEIPTS.c.source_id == source_id)
        if standings:
            statement = statement.where(RECEIPTS.c.standing.in_(standings))
        if keys is not None:
            statement = statement.where(after(columns, keys))
        ordered = [column.desc() for column, _ in columns]
        return await self.database.rows(statement.order_by(*ordered).limit(limit))

    async def event(self, source_id: UUID, receipt_id: UUID) -> Row | None:
        """With the request, sealed."""
        statement = select(RECEIPTS, RECEIPTS.c.sent.is_not(None).label("is_kept")).where(
            RECEIPTS.c.source_id == source_id, RECEIPTS.c.receipt_id == receipt_id
        )
        return await self.database.row(statement)

    async def ask_replay(
        self, connection: AsyncConnection, source_id: UUID, receipt_id: UUID | None, at: datetime
    ) -> int:
        """Ingest takes them once more: this one, or all that are kept. Returns how many."""
        chosen = and_(RECEIPTS.c.source_id == source_id, RECEIPTS.c.sent.is_not(None))
        if receipt_id is not None:
            chosen = and_(chosen, RECEIPTS.c.receipt_id == receipt_id)
        kept = select(RECEIPTS.c.receipt_id, literal(at, RECEIPT_REPLAYS.c.asked_at.type)).where(chosen)
        statement = upsert(RECEIPT_REPLAYS).from_select(["receipt_id", "asked_at"], kept)
        again = statement.on_conflict_do_update(index_elements=["receipt_id"], set_={"asked_at": at})
        asked = (await connection.execute(again)).rowcount
        gone = ~select(RECEIPTS.c.receipt_id).where(RECEIPTS.c.receipt_id == RECEIPT_REPLAYS.c.receipt_id).exists()
        await connection.execute(RECEIPT_REPLAYS.delete().where(gone))
        return int(asked)


def _is(source_id: UUID) -> Any:
    return and_(SOURCES.c.source_id == source_id, SOURCES.c.deleted_at.is_(None))


async def _one(connection: AsyncConnection, statement: Any) -> Row:
    return dict((await connection.execute(statement)).mappings().one())
