"""The funnel by cohort: who entered each stage in a period, how many of them went on, and how long that took."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final, Literal

from sqlalchemy import text

from services.api.store.database import Database, Row
from services.api.store.periods import Period
from services.api.store.rolled import NEXT, Reading, Rolled

By = Literal["source", "campaign", "owner", "week"]

COHORTS_MAX: Final = 1_000
# Weeks are numbers while they are counted: which of the period, from 1.
_WEEK: Final = "width_bucket({at}, CAST(:mondays AS timestamptz[]))"
_NAMED: Final[dict[By | None, str]] = {None: "cohort", "week": "(CAST(:weeks AS text[]))[cohort]"}
_MORNING: Final = "(day::timestamp AT TIME ZONE 'UTC')"

# Each lead counts once per step, by its first entry in the period; it went on if it ever entered the next stage after.
# Most entries are those of new leads, of which hardly any went on: of whole days they are counted already. Stage by
# stage, since that is the order of their index, and a hundred thousand rows are not sorted by it then.
_FUNNEL: Final = """
WITH {head}again AS MATERIALIZED (
    SELECT DISTINCT ON (lead_id, stage) stage, entered_at, left_at, owner, source, campaign FROM {entries} AS e
    WHERE NOT is_only AND entered_at >= :since AND entered_at < :until AND NOT (stage = 'lead' AND EXISTS (
        SELECT FROM {leads} AS l WHERE l.lead_id = e.lead_id AND l.began_at >= :since AND l.began_at < :until))
    ORDER BY lead_id, stage, version),
counted AS (
    SELECT step.stage, of_step.* FROM unnest(CAST(:stages AS text[])) AS step (stage) CROSS JOIN LATERAL (
        SELECT {grouped} AS is_total, sum(entered) AS entered, count(seconds) AS converted,
            percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) AS shares
        FROM (
            SELECT {of_entry} AS cohort, 1 AS entered, date_part('epoch', left_at - entered_at) AS seconds
            FROM {entries} AS e
            WHERE is_only AND e.stage = step.stage AND entered_at >= :since AND entered_at < :until
            UNION ALL SELECT {of_entry}, 1, date_part('epoch', left_at - entered_at) FROM again
            WHERE again.stage = step.stage
            UNION ALL SELECT {of_lead}, 0, date_part('epoch', left_at - began_at) FROM {leads} AS l
            WHERE step.stage = 'lead' AND left_at IS NOT NULL AND began_at >= :since AND began_at < :until
            UNION ALL SELECT {of_rest}, count(*)::integer, NULL
            FROM unnest(CAST(:froms AS timestamptz[]), CAST(:untils AS timestamptz[]), CAST(:numbers AS integer[]))
                AS rest (since, until, week) JOIN {leads} AS l ON began_at >= rest.since AND began_at < rest.until
            WHERE step.stage = 'lead' GROUP BY 1{of_days}) AS entered
        GROUP BY GROUPING SETS ({sets}) HAVING sum(entered) > 0) AS of_step)
SELECT stage, {cohort} AS cohort, is_total, entered, converted, shares[1] AS median_seconds, shares[2] AS p90_seconds
FROM counted{named} ORDER BY is_total DESC, 2 LIMIT :rows"""
_OF_DAYS: Final = """
            UNION ALL SELECT {of_day}, sum(leads)::integer, NULL FROM api.report_days WHERE step.stage = 'lead'
                AND leads > 0 AND day >= :first AND day < :last AND day <> ALL(CAST(:cut AS date[])) GROUP BY 1"""


class FunnelStore:
    """Reads what was rolled up, or while it isn't what stages and scoring publish."""

    def __init__(self, database: Database, reading: Reading) -> None:
        self._database = database
        self._reading = reading

    async def rows(self, period: Period, by: By | None) -> Sequence[Row]:
        """One row per stage for all, then one per stage and cohort."""
        statement, values = funnel(await self._reading(), period, by)
        return await self._database.rows(text(statement).bindparams(**values))


def funnel(rolled: Rolled, period: Period, by: By | None) -> tuple[str, dict[str, Any]]:
    """The statement, and what it is filled with."""
    is_named = by in ("source", "campaign", "owner")
    statement = _FUNNEL.format(
        **rolled._asdict(),
        of_entry=_cohort(by, rolled, week=_WEEK.format(at="entered_at"), owner="owner"),
        of_lead=_cohort(by, rolled, week=_WEEK.format(at="began_at")),
        of_rest=_cohort(by, rolled, week="rest.week"),
        of_days=_OF_DAYS.format(of_day=_cohort(by, rolled, week=_WEEK.format(at=_MORNING))) if rolled.has_days else "",
        grouped="cohort, grouping(cohort) = 1" if by else "NULL::text AS cohort, true",
        sets="(), (cohort)" if by else "()",
        cohort=_NAMED.get(by, "coalesce(n.name, cohort::text)"),
        named=f" LEFT JOIN {rolled.names} AS n ON n.name_id = cohort" if is_named else "",
    )
    return statement, _values(rolled, period, by)


def _cohort(by: By | None, rolled: Rolled, *, week: str, owner: str | None = None) -> str:
    """The cohort of a row. A lead that begins has no owner yet."""
    if by == "week":
        return week
    column = owner if by == "owner" else by
    return column or f"CAST(NULL AS {rolled.name if by else 'text'})"


def _values(rolled: Rolled, period: Period, by: By | None) -> dict[str, Any]:
    by_week = by == "week"
    days = period.days(by_week=by_week) if rolled.has_days else period.whole(by_week=by_week)
    mondays = [week.begins_at for week in period.weeks]
    values: dict[str, Any] = {"since": period.since, "until": period.until, "stages": list(NEXT)}
    values |= {"froms": [span.since for span in days.rest], "untils": [span.until for span in days.rest]}
    values |= {"numbers": [bisect_right(mondays, span.since) for span in days.rest], "rows": COHORTS_MAX * len(NEXT)}
    if rolled.has_days:
        values |= {"first": days.first, "last": days.last, "cut": days.cut}
    if by_week:
        values |= {"weeks": [week.name for week in period.weeks], "mondays": mondays}
    return values
