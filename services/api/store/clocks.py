"""Clocks as sla_monitor publishes them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, union_all

from services.api.store.cursors import Keys, after
from services.api.store.database import Database, Row
from services.api.store.tables import CLOCKS

STATES: Final = ("open", "warned", "met", "breached", "resolved", "voided", "cancelled", "paused", "late_start")
_BROKEN: Final = ("breached", "resolved")


class ClockFilter(NamedTuple):
    """Which clocks: every field that is not None must be the clock's."""

    owner: str | None = None
    team: str | None = None
    rule: str | None = None
    lead_id: UUID | None = None

    def clauses(self, columns: Any = CLOCKS.c) -> list[ColumnElement[bool]]:
        return [columns[name] == value for name, value in self._asdict().items() if value is not None]


class ClockStore:
    """Queries about clocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        states: Sequence[str],
        keys: Keys | None,
        limit: int,
        of: ClockFilter | None = None,
        *,
        is_latest_first: bool = False,
    ) -> Sequence[Row]:
        """Clocks by deadline; without states in any. Each state is a walk along its own index, so a page costs the same
        however many clocks there are; a lead has only a few."""
        order, of = _Order(is_latest_first), of or ClockFilter()
        wanted = of.clauses()
        if of.lead_id is not None:
            of_lead = select(CLOCKS).where(CLOCKS.c.state.in_(states or STATES), *wanted)
            return await self._database.rows(order.of(of_lead, keys).limit(limit))
        parts = [
            select(order.of(select(CLOCKS).where(CLOCKS.c.state == state, *wanted), keys).limit(limit).subquery())
            for state in sorted(set(states or STATES))
        ]
        found = union_all(*parts).subquery()
        statement = select(found).order_by(*order.by(found.c)).limit(limit)
        return await self._database.rows(statement)

    async def breaches(self, keys: Keys | None, limit: int, of: ClockFilter | None = None) -> Sequence[Row]:
        """Broken promises, the latest first; those that turned out to be kept (voided) left out."""
        statement = select(CLOCKS).where(CLOCKS.c.state.in_(_BROKEN), *(of or ClockFilter()).clauses())
        columns = [(CLOCKS.c.breached_at, True), (CLOCKS.c.clock_id, True)]
        if keys is not None:
            statement = statement.where(after(columns, keys))
        return await self._database.rows(statement.order_by(*(column.desc() for column, _ in columns)).limit(limit))

    async def started_by(self, lead_id: UUID, at: datetime) -> Sequence[Row]:
        """Every clock of the lead that had started by then."""
        statement = select(CLOCKS).where(CLOCKS.c.lead_id == lead_id, CLOCKS.c.started_at <= at)
        return await self._database.rows(statement.order_by(CLOCKS.c.deadline, CLOCKS.c.clock_id))


class _Order(NamedTuple):
    """By deadline, and among equal ones by id."""

    is_latest_first: bool

    def by(self, columns: Any) -> list[ColumnElement[Any]]:
        named = (columns.deadline, columns.clock_id)
        return [column.desc() if self.is_latest_first else column.asc() for column in named]

    def of(self, statement: Select[Any], keys: Keys | None) -> Select[Any]:
        """The rows after these keys."""
        if keys is not None:
            columns = [(column, self.is_latest_first) for column in (CLOCKS.c.deadline, CLOCKS.c.clock_id)]
            statement = statement.where(after(columns, keys))
        return statement.order_by(*self.by(CLOCKS.c))
