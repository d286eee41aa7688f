"""Owners: what people changed about them, and what they have as stages publishes it."""

from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.store.database import Database, Row
from services.api.store.tables import LOADS, OPEN_LEADS, OWNERS


class OwnersNow(NamedTuple):
    """By owner: what people changed, how many leads they have (under None those that nobody has), and how many they
    got on a day."""

    changed: Mapping[str, Row]
    open_leads: Mapping[str | None, int]
    leads_of_day: Mapping[str, int]


class OwnerStore:
    """Reads and writes about owners."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def now(self, day: date) -> OwnersNow:
        loads = select(LOADS.c.owner, LOADS.c.leads).where(LOADS.c.day == day)
        return OwnersNow(
            {row["owner"]: row for row in await self.database.rows(select(OWNERS))},
            {row["owner"]: row["open_leads"] for row in await self.database.rows(select(OPEN_LEADS))},
            {row["owner"]: row["leads"] for row in await self.database.rows(loads)},
        )

    async def keep(self, connection: AsyncConnection, owner: str, values: Mapping[str, Any]) -> None:
        """Writes what was changed about an owner; a new row has nothing else."""
        changed = {**values, "updated_at": func.now()}
        statement = upsert(OWNERS).values(owner=owner, **changed)
        await connection.execute(statement.on_conflict_do_update(index_elements=[OWNERS.c.owner], set_=changed))
