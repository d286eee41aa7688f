"""Which sources and campaigns qualified leads, pipeline and revenue came from; and how soon sales made contact."""

from collections.abc import Sequence
from typing import Final, Literal

from sqlalchemy import text

from services.api.store.database import Database, Row
from services.api.store.funnel import Period

Model = Literal["first", "last", "linear"]
Touch = Literal["source", "campaign"]

KEYS_MAX: Final = 1_000
# What of an outcome each touch before it gets.
_WEIGHT: Final[dict[Model, str]] = {
    "first": "CASE WHEN place = 1 THEN 1.0 ELSE 0.0 END",
    "last": "CASE WHEN place = touches THEN 1.0 ELSE 0.0 END",
    "linear": "1.0 / touches",
}

# An outcome is a stage entered in the period, by itself and not implied; its amount is that of the action that made it.
# A touch is an activity that happened by then and bears a source (or campaign). Looked up lead by lead (hence OFFSET):
# the planner would rather open the whole history, which costs a thousand times what it thinks.
_ATTRIBUTED: Final = """
WITH outcomes AS (
    SELECT t.lead_id, t.event_id, t.to_stage, t.occurred_at AS at, a.amount, a.currency
    FROM stages.published_transitions AS t
    LEFT JOIN LATERAL (
        SELECT amount, currency FROM stages.published_actions AS one
        WHERE one.lead_id = t.lead_id AND one.event_id = t.cause_id OFFSET 0) AS a ON true
    WHERE t.to_stage IN ('mql', 'opportunity', 'customer') AND NOT t.implied
        AND t.occurred_at >= :since AND t.occurred_at < :until),
touched AS (
    SELECT o.*, h.{key} AS key, row_number() OVER in_order AS place, count(h.event_id) OVER of_outcome AS touches
    FROM outcomes AS o LEFT JOIN LATERAL (
        SELECT {key}, event_id, occurred_at, received_at, number FROM scoring.published_history AS one
        WHERE one.lead_id = o.lead_id AND one.kind = 'activity' AND one.{key} IS NOT NULL
            AND least(one.occurred_at, one.received_at) <= o.at OFFSET 0) AS h ON true
    WINDOW of_outcome AS (PARTITION BY o.lead_id, o.event_id),
        in_order AS (PARTITION BY o.lead_id, o.event_id ORDER BY least(h.occurred_at, h.received_at), h.number)),
weighed AS (
    SELECT key, to_stage, amount, currency, CASE WHEN touches = 0 THEN 1.0 ELSE {weight} END AS weight FROM touched)
SELECT key, to_stage, currency, sum(weight)::double precision AS outcomes,
    sum(weight * amount)::double precision AS amount
FROM weighed WHERE weight > 0 GROUP BY key, to_stage, currency ORDER BY key NULLS LAST LIMIT :rows"""

# From entering mql to the first touch after it; business hours are not considered here, as they are in attainment.
_FIRST_CONTACT: Final = """
WITH qualified AS (
    SELECT DISTINCT ON (lead_id) lead_id, occurred_at AS at FROM stages.published_transitions
    WHERE to_stage = 'mql' AND NOT implied AND occurred_at >= :since AND occurred_at < :until
        AND (CAST(:owner AS text) IS NULL OR owner = :owner)
    ORDER BY lead_id, version),
contacted AS (
    SELECT q.lead_id, extract(epoch FROM min(a.occurred_at) - q.at)::double precision AS seconds
    FROM qualified AS q LEFT JOIN LATERAL (
        SELECT occurred_at FROM stages.published_actions AS one
        WHERE one.lead_id = q.lead_id AND one.action = 'contacted' AND one.ignored IS NULL AND one.occurred_at >= q.at
        OFFSET 0) AS a ON true
    GROUP BY q.lead_id, q.at)
SELECT count(*) AS qualified, count(seconds) AS contacted,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median_seconds,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) AS p90_seconds, {buckets}
FROM contacted"""

# Five minutes to a week; what took longer is in none of them.
BUCKETS_SECONDS: Final = (300, 900, 3_600, 14_400, 86_400, 259_200, 604_800)


class AttributionStore:
    """Reads what stages and scoring publish."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def attributed(self, period: Period, by: Touch, model: Model) -> Sequence[Row]:
        """By key, stage and currency."""
        statement = text(_ATTRIBUTED.format(key=by, weight=_WEIGHT[model]))
        return await self._database.rows(
            statement.bindparams(since=period.since, until=period.until, rows=KEYS_MAX * 10)
        )

    async def first_contact(self, period: Period, owner: str | None) -> Row:
        """Counts of leads, cumulated by bucket."""
        buckets = ", ".join(
            f"count(*) FILTER (WHERE seconds <= {seconds}) AS up_to_{seconds}" for seconds in BUCKETS_SECONDS
        )
        statement = text(_FIRST_CONTACT.format(buckets=buckets))
        row = await self._database.row(statement.bindparams(since=period.since, until=period.until, owner=owner))
        assert row is not None
        return row
