"""Who changed what (migration 0015): tables of configuration note their own changes, routes note what is no table's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.store.cursors import Keys
from services.api.store.database import Database, Row
from services.api.store.tables import AUDIT_LOG


@dataclass(frozen=True)
class EntryFilter:
    """What the log is narrowed to; None doesn't narrow."""

    subject: str | None = None
    subject_id: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditLogStore:
    """Reads the log, and writes to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: EntryFilter, keys: Keys | None, limit: int) -> Sequence[Row]:
        """The newest first."""
        log = AUDIT_LOG.c
        statement = select(AUDIT_LOG)
        for name in ("subject", "subject_id", "actor"):
            if (value := getattr(wanted, name)) is not None:
                statement = statement.where(log[name] == value)
        if wanted.since is not None:
            statement = statement.where(log.at >= wanted.since)
        if wanted.until is not None:
            statement = statement.where(log.at < wanted.until)
        if keys is not None:
            statement = statement.where(log.entry < keys[0])
        return await self._database.rows(statement.order_by(log.entry.desc()).limit(limit))

    async def note(
        self, connection: AsyncConnection, action: str, subject_id: str, *, after: Mapping[str, Any] | None = None
    ) -> None:
        """`action` is `<subject>.<what was done>`."""
        subject = action.partition(".")[0]
        noted = func.api.note(action, subject, subject_id, None, literal(dict(after), JSONB) if after else None)
        await connection.execute(select(noted))
