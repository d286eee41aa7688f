"""Keys: read with their last use, changed, rotated, revoked. A revoked key stays on file, for the audit log's sake."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.store.configured import KEY, shown
from services.api.store.cursors import Keys, after
from services.api.store.database import Database, Row
from services.api.store.tables import KEY_USES, KEYS

# One number for all: two calls that each take away an admin key are decided one after the other.
_ADMIN_LOCK = 0x6163635F61646D


class KeyStore:
    """Queries about keys."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def page(self, keys: Keys | None, limit: int) -> Sequence[Row]:
        columns = [(KEYS.c.created_at, False), (KEYS.c.key_id, False)]
        statement = _keys().order_by(*(column for column, _ in columns)).limit(limit)
        if keys is not None:
            statement = statement.where(after(columns, keys))
        return await self.database.rows(statement)

    async def key(self, key_id: str) -> Row | None:
        return await self.database.row(_keys().where(KEYS.c.key_id == key_id))

    async def locked(self, connection: AsyncConnection, key_id: str) -> Row | None:
        """The key as it stands, until the end of the transaction. A revoked one is gone."""
        statement = _keys().where(KEYS.c.key_id == key_id, KEYS.c.revoked_at.is_(None))
        row = (await connection.execute(statement.with_for_update(of=KEYS))).mappings().first()
        return dict(row) if row is not None else None

    async def change(self, connection: AsyncConnection, key_id: str, values: Mapping[str, Any]) -> Row:
        if values:
            await connection.execute(update(KEYS).where(KEYS.c.key_id == key_id).values(dict(values)))
        return dict((await connection.execute(_keys().where(KEYS.c.key_id == key_id))).mappings().one())

    async def rotate(
        self, connection: AsyncConnection, key_id: str, *, secret_sha256: bytes, former_until: datetime
    ) -> Row:
        """A new secret; the former one works until then, one before that no more."""
        former = {"former_secret_sha256": KEYS.c.secret_sha256, "former_until": former_until}
        return await self.change(connection, key_id, {**former, "secret_sha256": secret_sha256})

    async def revoke(self, connection: AsyncConnection, key_id: str) -> None:
        await self.change(connection, key_id, {"revoked_at": func.clock_timestamp()})

    async def has_other_admin(self, connection: AsyncConnection, key_id: str) -> bool:
        """Whether somebody with every right remains without this key."""
        await connection.execute(select(func.pg_advisory_xact_lock(_ADMIN_LOCK)))
        others = select(KEYS.c.key_id).where(
            KEYS.c.role == "admin",
            KEYS.c.key_id != key_id,
            KEYS.c.revoked_at.is_(None),
            KEYS.c.expires_at.is_(None),
        )
        return (await connection.execute(others.limit(1))).first() is not None


def _keys() -> Select[*tuple[Any, ...]]:
    joined = KEYS.join(KEY_USES, KEY_USES.c.key_id == KEYS.c.key_id, isouter=True)
    return select(*shown(KEY), KEY_USES.c.last_used_at).select_from(joined)
