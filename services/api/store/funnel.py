"""The funnel by cohort: who entered each stage in a period, how many of them went on, and how long that took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import text

from services.api.store.database import Database, Row

By = Literal["source", "campaign", "owner", "week"]

COHORTS_MAX: Final = 1_000
# Where each step leads to. A lead enters the first one by being there.
NEXT: Final = {
    "lead": "mql",
    "mql": "sal",
    "sal": "sql",
    "sql": "opportunity",
    "opportunity": "customer",
    "customer": None,
}
# One value at a time, so that it is looked up only for those that the lists don't have.
_KNOWN: Final = "(SELECT of.{} FROM scoring.published_leads AS of WHERE of.lead_id = went_on.lead_id)"
_COHORT: Final[dict[By | None, str]] = {
    None: "NULL::text",
    "source": f"coalesce(listed.first_source, {_KNOWN.format('first_source')})",
    "campaign": "campaign",
    "owner": "owner",
    "week": "to_char(entered_at AT TIME ZONE :zone, 'IYYY-\"W\"IW')",
}
# A lead's first source never changes once it has one: where its list says one, its state need not be opened.
_OF_LEAD: Final[dict[By | None, str]] = {
    "source": f""" LEFT JOIN (SELECT lead_id, first_source FROM api.lead_index) AS listed USING (lead_id)
    WHERE listed.lead_id IS NOT NULL OR {_KNOWN.format("lead_id")} IS NOT NULL""",
    "campaign": " JOIN scoring.published_leads AS known USING (lead_id)",
}

# Each lead counts once per step, by its first entry in the period; it went on if it ever entered the next stage after.
# Most entries are those of new leads, of which nothing but their number and the few that qualified is asked: they come
# from an index alone. One that came back to the first stage in the period it began in has entered it before.
_FUNNEL: Final = """
WITH moved AS MATERIALIZED (
    SELECT lead_id, version, to_stage AS stage, owner, occurred_at AS at FROM stages.published_transitions
    WHERE occurred_at >= :since),
entered AS (
    SELECT DISTINCT ON (lead_id, stage) lead_id, version, stage, owner, at AS entered_at FROM moved
    WHERE at < :until AND NOT (stage = 'lead' AND EXISTS (
        SELECT FROM scoring.published_first_inputs AS h
        WHERE h.lead_id = moved.lead_id AND h.received_at >= :since AND h.received_at < :until))
    ORDER BY lead_id, stage, version),
went_on AS (
    SELECT e.stage, e.lead_id, e.owner, e.entered_at, min(n.at) AS left_at FROM entered AS e
    LEFT JOIN (VALUES {steps}) AS step (stage, next_stage) ON step.stage = e.stage
    LEFT JOIN moved AS n ON n.lead_id = e.lead_id AND n.stage = step.next_stage AND n.version > e.version
    GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT 'lead', h.lead_id, NULL, h.received_at, n.at FROM scoring.published_first_inputs AS h
    LEFT JOIN (SELECT lead_id, min(at) AS at FROM moved WHERE stage = 'mql' GROUP BY lead_id) AS n USING (lead_id)
    WHERE h.received_at >= :since AND h.received_at < :until),
timed AS (
    SELECT stage, {cohort} AS cohort, left_at, extract(epoch FROM left_at - entered_at)::double precision AS seconds
    FROM went_on{of_lead}),
of_all AS (SELECT stage, NULL::text AS cohort, true AS is_total, {counted} FROM timed GROUP BY stage)
SELECT * FROM of_all {of_cohorts}
ORDER BY is_total DESC, cohort LIMIT :rows"""
_COUNTED: Final = """count(*) AS entered, count(left_at) AS converted,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE seconds IS NOT NULL) AS median_seconds,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE seconds IS NOT NULL) AS p90_seconds"""
_OF_COHORTS: Final = f"UNION ALL SELECT stage, cohort, false, {_COUNTED} FROM timed GROUP BY stage, cohort"


@dataclass(frozen=True)
class Period:
    """From a time on, until before another; `zone` is what weeks are told in."""

    since: datetime
    until: datetime
    zone: str


class FunnelStore:
    """Reads what stages and scoring publish."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(self, period: Period, by: By | None) -> Sequence[Row]:
        """One row per stage for all, then one per stage and cohort."""
        steps = ", ".join(f"('{stage}', '{following}')" for stage, following in NEXT.items() if following)
        of_lead = _OF_LEAD.get(by, "")
        of_cohorts = _OF_COHORTS if by else ""
        parts = {"steps": steps, "cohort": _COHORT[by], "of_lead": of_lead, "of_cohorts": of_cohorts}
        statement = _FUNNEL.format(counted=_COUNTED, **parts)
        values = {"since": period.since, "until": period.until, "rows": COHORTS_MAX * len(NEXT)}
        if by == "week":
            values["zone"] = period.zone
        return await self._database.rows(text(statement).bindparams(**values))
