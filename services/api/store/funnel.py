"""The funnel by cohort: who entered each stage in a period, how many of them went on, and how long that took."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from sqlalchemy import text

from services.api.store.database import Database, Row
from services.api.store.periods import Period
from services.api.store.rolled import NEXT, Reading, Rolled

By = Literal["source", "campaign", "owner", "week"]

COHORTS_MAX: Final = 1_000
# Which week of the period, counted from 1.
_WEEK: Final = "width_bucket({at}, CAST(:mondays AS timestamptz[]))"
_NAMED: Final[dict[By | None, str]] = {None: "cohort", "week": "(CAST(:weeks AS text[]))[cohort]"}
_MORNING: Final = "(day::timestamp AT TIME ZONE 'UTC')"

# Each lead counts once per step, by its first entry in the period; it went on if it ever entered the next stage after.
# Most entries are those of new leads, of which hardly any went on: of whole days they are counted already.
_FUNNEL: Final = """
WITH {head}again AS (
    SELECT DISTINCT ON (lead_id, stage) * FROM {entries} AS e
    WHERE NOT is_only AND entered_at >= :since AND entered_at < :until AND NOT (stage = 'lead' AND EXISTS (
        SELECT FROM {leads} AS l WHERE l.lead_id = e.lead_id AND l.began_at >= :since AND l.began_at < :until))
    ORDER BY lead_id, stage, version),
entered AS (
    SELECT 'lead' AS stage, {of_began} AS cohort, 1 AS entered, NULL::double precision AS seconds
    FROM unnest(CAST(:froms AS timestamptz[]), CAST(:untils AS timestamptz[])) AS rest (since, until)
    JOIN {leads} AS l ON l.began_at >= rest.since AND l.began_at < rest.until
    {of_days}
    UNION ALL SELECT 'lead', {of_began}, 0, date_part('epoch', left_at - began_at) FROM {leads} AS l
    WHERE left_at IS NOT NULL AND began_at >= :since AND began_at < :until
    UNION ALL SELECT stage, {of_entered}, 1, date_part('epoch', left_at - entered_at) FROM {entries} AS e
    WHERE is_only AND entered_at >= :since AND entered_at < :until
    UNION ALL SELECT stage, {of_entered}, 1, date_part('epoch', left_at - entered_at) FROM again),
counted AS (
    SELECT stage, {grouped} AS is_total, sum(entered)::bigint AS entered, count(seconds) AS converted,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) AS shares
    FROM entered GROUP BY GROUPING SETS ({sets}))
SELECT stage, {cohort} AS cohort, is_total, entered, converted, shares[1] AS median_seconds, shares[2] AS p90_seconds
FROM counted{named} ORDER BY is_total DESC, 2 LIMIT :rows"""
_OF_DAYS: Final = """UNION ALL SELECT 'lead', {of_day}, sum(leads), NULL FROM api.report_days
    WHERE leads > 0 AND day >= :first AND day < :last AND day <> ALL(CAST(:cut AS date[])) GROUP BY 2"""


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
    days = period.days(by_week=by == "week") if rolled.has_days else period.whole
    values: dict[str, Any] = {"since": period.since, "until": period.until, "rows": COHORTS_MAX * len(NEXT)}
    values |= {"froms": [span.since for span in days.rest], "untils": [span.until for span in days.rest]}
    if rolled.has_days:
        values |= {"first": days.first, "last": days.last, "cut": days.cut}
    if by == "week":
        values |= {"weeks": [week.name for week in period.weeks], "mondays": [week.begins_at for week in period.weeks]}
    is_named = by in ("source", "campaign", "owner")
    of_days = _OF_DAYS.format(of_day=_cohort(by, _MORNING, rolled)) if rolled.has_days else ""
    statement = _FUNNEL.format(
        **rolled._asdict(),
        of_began=_cohort(by, "began_at", rolled),
        of_entered=by if is_named else _cohort(by, "entered_at", rolled),
        of_days=of_days,
        grouped="cohort, grouping(cohort) = 1" if by else "NULL::text AS cohort, true",
        sets="(stage), (stage, cohort)" if by else "(stage)",
        cohort=_NAMED.get(by, "coalesce(n.name, cohort::text)"),
        named=f" LEFT JOIN {rolled.names} AS n ON n.name_id = cohort" if is_named else "",
    )
    return statement, values


def _cohort(by: By | None, at: str, rolled: Rolled) -> str:
    """Of a lead that begins. It has no owner yet."""
    if by == "week":
        return _WEEK.format(at=at)
    return by if by in ("source", "campaign") else f"CAST(NULL AS {rolled.name if by else 'text'})"
