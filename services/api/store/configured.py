"""What people configure: rows with an id, whose secrets are never shown again."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.store.cursors import Keys, after
from services.api.store.database import Database, Row
from services.api.store.tables import KEYS, SOURCES, SUBSCRIPTIONS


class Noun(NamedTuple):
    """A table that people fill, and what of it may be shown again."""

    table: Table
    id: Column[Any]
    secrets: frozenset[str]


KEY = Noun(KEYS, KEYS.c.key_id, frozenset({"secret_sha256", "former_secret_sha256"}))
SOURCE = Noun(SOURCES, SOURCES.c.source_id, frozenset({"secret", "deleted_at"}))
SUBSCRIPTION = Noun(SUBSCRIPTIONS, SUBSCRIPTIONS.c.subscription_id, frozenset({"secret", "deleted_at"}))


class ConfiguredStore:
    """Writes what people configure."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def add(self, connection: AsyncConnection, noun: Noun, values: Mapping[str, Any]) -> Row:
        """The new row without its secrets."""
        statement = insert(noun.table).values(values).returning(*shown(noun))
        return dict((await connection.execute(statement)).mappings().one())

    async def page(self, noun: Noun, keys: Keys | None, limit: int) -> Sequence[Row]:
        columns = [(noun.table.c.created_at, False), (noun.id, False)]
        statement = select(*shown(noun)).order_by(*(column for column, _ in columns)).limit(limit)
        if "deleted_at" in noun.table.c:
            statement = statement.where(noun.table.c.deleted_at.is_(None))
        if keys is not None:
            statement = statement.where(after(columns, keys))
        return await self.database.rows(statement)

    async def source_name(self, source_id: Any) -> str | None:
        row = await self.database.row(select(SOURCES.c.name).where(SOURCES.c.source_id == source_id))
        return row["name"] if row else None


def shown(noun: Noun) -> list[Column[Any]]:
    return [column for column in noun.table.c if column.name not in noun.secrets]
