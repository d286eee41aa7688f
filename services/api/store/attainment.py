"""How promises were kept, counted from the clocks that sla_monitor publishes, and from what remains of those of erased
leads (ADR 21)."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from sqlalchemy import ARRAY, TIMESTAMP, Subquery, Text, Uuid, cast, func, null, select, union_all
from sqlalchemy.sql.elements import Grouping

from services.api.store.clocks import ClockFilter
from services.api.store.cursors import Keys
from services.api.store.database import Database, Row
from services.api.store.periods import Period
from services.api.store.tables import CLOCKS, ERASURES, NOBODY_CLOCKS

By = Literal["owner", "team", "clock", "week"]

_READ: Final = ("state", "rule", "owner", "team", "started_at", "response_seconds")
_ERASED: Final = select(ERASURES.c.lead_id).where(ERASURES.c.done_at.is_(None))
_ALL: Final = union_all(
    select(CLOCKS.c.lead_id, *(CLOCKS.c[name] for name in _READ)).where(CLOCKS.c.lead_id.not_in(_ERASED)),
    select(cast(null(), Uuid), *(NOBODY_CLOCKS.c[name] for name in _READ)),
).subquery()
_COLUMNS: Final[dict[str, Any]] = {"owner": _ALL.c.owner, "team": _ALL.c.team, "clock": _ALL.c.rule}


class AttainmentStore:
    """Counts of clocks by one of their sides. Clocks that were late from the start are left out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, by: By, keys: Keys | None, limit: int, period: Period, of: ClockFilter) -> Sequence[Row]:
        """Rows in the order of their keys, of clocks that started in the period; weeks begin on Monday in its zone.
        `median_seconds` and `p90_seconds` interpolate between the times that stops took, in the clocks' own hours."""
        counted = _counted(_week(period) if by == "week" else _COLUMNS[by], period, of)
        key = _mondays(period)[counted.c.side] if by == "week" else counted.c.side
        sort_key = func.coalesce(key, "")
        columns = [column for column in counted.c if column.name != "side"]
        statement = select(sort_key.label("sort_key"), key.label("key"), *columns)
        if keys is not None:
            statement = statement.where(sort_key > keys[0])
        return await self._database.rows(statement.order_by("sort_key").limit(limit))


def _counted(side: Any, period: Period, of: ClockFilter) -> Subquery:
    """By the bare column, or the number of the week: to name each clock's before they are sorted costs half as much."""
    state, spent = _ALL.c.state, _ALL.c.response_seconds
    return (
        select(
            side.label("side"),
            func.count().label("started"),
            func.count().filter(state == "met").label("met"),
            func.count().filter(state.in_(("breached", "resolved"))).label("breached"),
            func.count().filter(state == "voided").label("voided"),
            func.percentile_cont(0.5).within_group(spent).label("median_seconds"),
            func.percentile_cont(0.9).within_group(spent).label("p90_seconds"),
        )
        .where(state != "late_start", *of.clauses(_ALL.c))
        .where(_ALL.c.started_at >= period.since, _ALL.c.started_at < period.until)
        .group_by("side")
        .subquery()
    )


def _week(period: Period) -> Any:
    """Which week of the period a clock started in, counted from 1; a third of what date_trunc in the zone costs."""
    return func.width_bucket(
        _ALL.c.started_at, cast([week.begins_at for week in period.weeks], ARRAY(TIMESTAMP(timezone=True)))
    )


def _mondays(period: Period) -> Any:
    return Grouping(cast([week.monday.isoformat() for week in period.weeks], ARRAY(Text)))
