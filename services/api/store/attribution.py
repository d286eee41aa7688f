"""Which sources and campaigns qualified leads, pipeline and revenue came from; and how soon sales made contact."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from sqlalchemy import text

from services.api.store.database import Database, Row
from services.api.store.periods import Period
from services.api.store.rolled import IS_AMOUNT, MODELS, Model, Reading, Rolled

Touch = Literal["source", "campaign"]

KEYS_MAX: Final = 1_000

# Whole days are added up already.
_ATTRIBUTED: Final = """
WITH {head}weighed AS (
    SELECT key, stage, currency, sum(outcomes)::double precision AS outcomes, sum(amount)::double precision AS amount
    FROM (
        SELECT one.* FROM unnest(CAST(:froms AS timestamptz[]), CAST(:untils AS timestamptz[])) AS rest (since, until)
        CROSS JOIN LATERAL (
            SELECT key, stage, currency, {share} AS outcomes,
                CASE WHEN {is_amount} THEN {share} * amount::numeric END AS amount
            FROM {touches} AS t
            WHERE kind = :kind AND {chosen} AND entered_at >= rest.since AND entered_at < rest.until OFFSET 0) AS one
        {of_days}) AS shared
    GROUP BY key, stage, currency)
SELECT coalesce(of_key.name, key::text) AS key, stage AS to_stage,
    coalesce(of_currency.name, currency::text) AS currency, outcomes, amount
FROM weighed LEFT JOIN {names} AS of_key ON of_key.name_id = key
LEFT JOIN {names} AS of_currency ON of_currency.name_id = currency ORDER BY 1 NULLS LAST LIMIT :rows"""
_OF_DAYS: Final = """UNION ALL
        SELECT key, stage, currency, {model}_outcomes, CASE WHEN has_amount THEN {model}_amount END
        FROM api.report_outcomes WHERE kind = :kind AND day >= :first AND day < :last AND {model}_outcomes > 0"""

# From entering mql to the first touch after it; business hours are not considered here, as they are in attainment. A
# lead counts by its first entry in the period.
_FIRST_CONTACT: Final = """
WITH {head}qualified AS (
    SELECT lead_id, version, is_only, entered_at, contacted_at FROM {entries} AS e
    WHERE stage = 'mql' AND NOT is_implied AND entered_at >= :since AND entered_at < :until{of_owner}),
contacted AS (
    SELECT date_part('epoch', contacted_at - entered_at) AS seconds FROM (
        SELECT entered_at, contacted_at FROM qualified WHERE is_only UNION ALL (
        SELECT DISTINCT ON (lead_id) entered_at, contacted_at FROM qualified WHERE NOT is_only
        ORDER BY lead_id, version)) AS first)
SELECT count(*) AS qualified, count(seconds) AS contacted,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median_seconds,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) AS p90_seconds, {buckets}
FROM contacted"""

# Five minutes to a week; what took longer is in none of them.
BUCKETS_SECONDS: Final = (300, 900, 3_600, 14_400, 86_400, 259_200, 604_800)
_BUCKETS: Final = ", ".join(
    f"count(*) FILTER (WHERE seconds <= {seconds}) AS up_to_{seconds}" for seconds in BUCKETS_SECONDS
)


class AttributionStore:
    """Reads what was rolled up, or while it isn't what stages and scoring publish."""

    def __init__(self, database: Database, reading: Reading) -> None:
        self._database = database
        self._reading = reading

    async def attributed(self, period: Period, by: Touch, model: Model) -> Sequence[Row]:
        """By key, stage and currency."""
        statement, values = attributed(await self._reading(), period, by, model)
        return await self._database.rows(text(statement).bindparams(**values))

    async def first_contact(self, period: Period, owner: str | None) -> Row:
        """Counts of leads, cumulated by bucket."""
        statement = text(first_contact(await self._reading(), of_owner=owner is not None))
        values = {"since": period.since, "until": period.until, **({} if owner is None else {"owner": owner})}
        row = await self._database.row(statement.bindparams(**values))
        assert row is not None
        return row


def attributed(rolled: Rolled, period: Period, by: Touch, model: Model) -> tuple[str, dict[str, Any]]:
    """The statement, and what it is filled with."""
    chosen, share = MODELS[model]
    days = period.days(by_week=False) if rolled.has_days else period.whole(by_week=False)
    of_days = _OF_DAYS.format(model=model) if rolled.has_days else ""
    statement = _ATTRIBUTED.format(**rolled._asdict(), chosen=chosen, share=share, is_amount=IS_AMOUNT, of_days=of_days)
    values: dict[str, Any] = {"kind": by, "rows": KEYS_MAX * 10}
    values |= {"froms": [span.since for span in days.rest], "untils": [span.until for span in days.rest]}
    if rolled.has_days:
        return statement, values | {"first": days.first, "last": days.last}
    return statement, values | {"since": period.since, "until": period.until}


def first_contact(rolled: Rolled, *, of_owner: bool) -> str:
    """The statement; it takes `since`, `until` and perhaps `owner`."""
    mine = f" AND owner = {rolled.named('owner')}" if of_owner else ""
    return _FIRST_CONTACT.format(**rolled._asdict(), of_owner=mine, buckets=_BUCKETS)
