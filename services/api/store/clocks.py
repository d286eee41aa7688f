"""Clocks as sla_monitor publishes them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select

from services.api.model import RUNNING_STATES
from services.api.store.cursors import Keys, after
from services.api.store.database import Database, Row
from services.api.store.tables import CLOCKS


class ClockStore:
    """Queries about clocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        states: Sequence[str],
        keys: Keys | None,
        limit: int,
        *,
        owner: str | None = None,
        rule: str | None = None,
    ) -> Sequence[Row]:
        """Clocks by deadline, the earliest first."""
        statement = select(CLOCKS)
        if states:
            statement = statement.where(CLOCKS.c.state.in_(states))
        if owner is not None:
            statement = statement.where(CLOCKS.c.owner == owner)
        if rule is not None:
            statement = statement.where(CLOCKS.c.rule == rule)
        columns = [(CLOCKS.c.deadline, False), (CLOCKS.c.clock_id, False)]
        if keys is not None:
            statement = statement.where(after(columns, keys))
        return await self._database.rows(statement.order_by(*(column for column, _ in columns)).limit(limit))

    async def breaches(self, keys: Keys | None, limit: int, owner: str | None = None) -> Sequence[Row]:
        """Broken promises, the latest first; those that turned out to be kept (voided) left out."""
        statement = select(CLOCKS).where(
            CLOCKS.c.breached_at.is_not(None), CLOCKS.c.state.in_(("breached", "resolved"))
        )
        if owner is not None:
            statement = statement.where(CLOCKS.c.owner == owner)
        columns = [(CLOCKS.c.breached_at, True), (CLOCKS.c.clock_id, True)]
        if keys is not None:
            statement = statement.where(after(columns, keys))
        return await self._database.rows(statement.order_by(*(column.desc() for column, _ in columns)).limit(limit))

    async def of_lead(self, lead_id: UUID, entry: int | None) -> Sequence[Row]:
        """Those of this stage entry in any state, and every running one."""
        wanted: ColumnElement[bool] = CLOCKS.c.state.in_(RUNNING_STATES)
        if entry is not None:
            wanted = or_(wanted, CLOCKS.c.entry == entry)
        statement = select(CLOCKS).where(CLOCKS.c.lead_id == lead_id, wanted)
        return await self._database.rows(statement.order_by(CLOCKS.c.deadline, CLOCKS.c.clock_id))

    async def started_by(self, lead_id: UUID, at: datetime) -> Sequence[Row]:
        """Every clock of the lead that had started by then."""
        statement = select(CLOCKS).where(CLOCKS.c.lead_id == lead_id, CLOCKS.c.started_at <= at)
        return await self._database.rows(statement.order_by(CLOCKS.c.deadline, CLOCKS.c.clock_id))
