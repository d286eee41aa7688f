"""What promises are counted from: who entered a stage in a period, and what is known of those leads."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy import text

from services.api.model import GrantRow
from services.api.store.database import Database, Row
from services.api.store.rolled import IS_AMOUNT
from shared.agreement.document_sla import Promise
from shared.agreement.promises import WITH_AMOUNT, PromisePeriod, Tally, settles_at

# A lead counts by its first entry in the period. An implied mql counts for no promise, as a start or as an end.
_ENTERED: Final = """SELECT DISTINCT ON (lead_id) lead_id, version, occurred_at, cause_id, owner
FROM stages.published_transitions
WHERE to_stage = :stage AND NOT (implied AND to_stage = 'mql') AND occurred_at >= :since AND occurred_at < :until
ORDER BY lead_id, version"""
# Leads are looked up one by one (hence OFFSET): the planner would rather open all of them.
_TALLY: Final = """WITH entered AS MATERIALIZED ({entered})
SELECT count(*) AS entries, count(*) FILTER (WHERE of.is_counted) AS counted,
    coalesce(sum(amount::numeric) FILTER (WHERE {is_amount}), 0)::double precision AS amount,
    coalesce(sum(amount::numeric) FILTER (WHERE {is_amount} AND of.is_counted), 0)::double precision AS counted_amount,
    count(*) FILTER (WHERE {is_amount} AND currency IS DISTINCT FROM CAST(:currency AS text)) AS other_currencies
FROM entered AS e CROSS JOIN LATERAL (SELECT {is_counted} AS is_counted OFFSET 0) AS of
LEFT JOIN LATERAL ({sold}) AS sold ON true{chosen}"""
_IS_SOURCED: Final = """coalesce((
    SELECT first_team = :sourced_by FROM scoring.published_leads AS l WHERE l.lead_id = e.lead_id), false)"""
_HAS_REACHED: Final = """EXISTS (SELECT FROM stages.published_transitions AS t
    WHERE t.lead_id = e.lead_id AND t.version > e.version AND t.to_stage = :reached
        AND NOT (t.implied AND t.to_stage = 'mql') AND t.occurred_at < :settles_at)"""
_NOT_SOLD: Final = "SELECT NULL::double precision AS amount, NULL::text AS currency"
_SOLD: Final = """SELECT amount, currency FROM stages.published_actions AS a
    WHERE a.lead_id = e.lead_id AND a.event_id = e.cause_id OFFSET 0"""
_CHOSEN: Final = " WHERE e.lead_id = ANY(CAST(:chosen AS uuid[]))"

_OF_LEADS: Final = "unnest(CAST(:lead_ids AS uuid[])) AS lead (lead_id)"
VERSIONS: Final = f"""SELECT of.* FROM {_OF_LEADS} CROSS JOIN LATERAL (
    SELECT lead_id, accord FROM scoring.published_leads AS one WHERE one.lead_id = lead.lead_id OFFSET 0) AS of"""
INPUTS: Final = f"""SELECT of.* FROM {_OF_LEADS} CROSS JOIN LATERAL (
    SELECT lead_id, number, kind, occurred_at, received_at, source, campaign,
        body #>> '{{identifiers,email}}' AS email, CASE kind WHEN 'profile' THEN (body -> 'fields')::text END AS fields
    FROM scoring.published_history AS one WHERE one.lead_id = lead.lead_id AND kind <> 'rescore' OFFSET 0) AS of
ORDER BY lead_id, number"""
GRANTS: Final = """SELECT of.* FROM unnest(CAST(:lead_ids AS uuid[]), CAST(:accords AS integer[]))
    AS lead (lead_id, accord) CROSS JOIN LATERAL (
    SELECT lead_id, event_id, type, rule, points, withheld, why, occurred_at, received_at
    FROM scoring.published_grants AS one
    WHERE one.lead_id = lead.lead_id AND one.accord = lead.accord OFFSET 0) AS of"""


class EnteredLead(NamedTuple):
    """A lead's first entry into the stage in the period, and whose it was then."""

    lead_id: UUID
    at: datetime
    owner: str | None


class PromiseStore:
    """Reads what stages and scoring publish."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def entered(self, promise: Promise, period: PromisePeriod) -> list[EnteredLead]:
        """Everybody who entered the promise's stage in the period, whatever its `when` says."""
        statement = text(_ENTERED).bindparams(**_values(promise, period))
        rows = await self._database.rows(statement)
        return [EnteredLead(row["lead_id"], row["occurred_at"], row["owner"]) for row in rows]

    async def tally(
        self, promise: Promise, period: PromisePeriod, *, currency: str | None, chosen: Sequence[UUID] | None
    ) -> Tally:
        """The entries of the period; with `chosen` only those of these leads."""
        statement, values = tally(promise, period, currency=currency, chosen=chosen)
        row = await self._database.row(text(statement).bindparams(**values))
        assert row is not None, "a query without groups gives one row"
        return Tally(**row)

    async def versions(self, lead_ids: Sequence[UUID]) -> dict[UUID, int | None]:
        """The version of the accord that each lead's score carries."""
        rows = await self._of(VERSIONS, {"lead_ids": list(lead_ids)})
        return {row["lead_id"]: row["accord"] for row in rows}

    async def inputs(self, lead_ids: Sequence[UUID]) -> dict[UUID, list[Row]]:
        """By lead its history, as `snapshot_at` takes it."""
        found: dict[UUID, list[Row]] = {lead_id: [] for lead_id in lead_ids}
        for row in await self._of(INPUTS, {"lead_ids": list(lead_ids)}):
            fields = from_json(row["fields"]) if row["fields"] else None
            found[row["lead_id"]].append({**row, "fields": fields or {}})
        return found

    async def grants(self, accords: Mapping[UUID, int]) -> dict[UUID, list[GrantRow]]:
        """By lead its ledger under the version that is given with it."""
        found: dict[UUID, list[GrantRow]] = {lead_id: [] for lead_id in accords}
        for row in await self._of(GRANTS, {"lead_ids": list(accords), "accords": list(accords.values())}):
            found[row.pop("lead_id")].append(GrantRow(**row))
        return found

    async def _of(self, statement: str, values: dict[str, Any]) -> Sequence[Row]:
        return await self._database.rows(text(statement).bindparams(**values))


def tally(
    promise: Promise, period: PromisePeriod, *, currency: str | None, chosen: Sequence[UUID] | None
) -> tuple[str, dict[str, Any]]:
    """The statement, and what it is filled with."""
    values = _values(promise, period) | {"currency": currency}
    is_counted, sold = "true", _NOT_SOLD
    if promise.that_reached is not None:
        is_counted = _HAS_REACHED
        values |= {"reached": promise.that_reached.value, "settles_at": settles_at(promise, period)}
    elif promise.sourced_by is not None:
        is_counted = _IS_SOURCED
        values["sourced_by"] = promise.sourced_by
        sold = _SOLD if promise.share_of in WITH_AMOUNT else _NOT_SOLD
    if chosen is not None:
        values["chosen"] = list(chosen)
    statement = _TALLY.format(
        entered=_ENTERED,
        is_amount=IS_AMOUNT,
        is_counted=is_counted,
        sold=sold,
        chosen=_CHOSEN if chosen is not None else "",
    )
    return statement, values


def _values(promise: Promise, period: PromisePeriod) -> dict[str, Any]:
    stage = promise.counts or promise.share_of
    assert stage is not None, "a promise counts a stage or is a share of one"
    return {"stage": stage.value, "since": period.since, "until": period.until}
