"""What promises are counted from: who entered a stage in a period, and what is known of those leads."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy import text

from services.api.model import GrantRow, Moment, explain, snapshot_at
from services.api.store.database import Row, Rows
from services.api.store.rolled import ERASED, IS_AMOUNT
from shared.agreement.condition_keys import key_of
from shared.agreement.document_sla import Promise
from shared.agreement.promises import WITH_AMOUNT, PromisePeriod, Tally, settles_at
from shared.agreement.rules import Facts
from shared.agreement.versions import Accords

# A lead counts by its first entry in the period. An implied mql counts for no promise, as a start or as an end.
_ENTERED: Final = f"""SELECT DISTINCT ON (lead_id) lead_id, version, occurred_at, cause_id, owner
FROM stages.published_transitions
WHERE to_stage = :stage AND NOT (implied AND to_stage = 'mql') AND occurred_at >= :since AND occurred_at < :until
    AND lead_id NOT IN ({ERASED})
ORDER BY lead_id, version"""
# The same of what remains of erased leads. What a `when` said of them was judged when they were erased.
_REMAINING: Final = """SELECT * FROM (
    SELECT DISTINCT ON (nobody_id) nobody_id, version, amount, currency, held FROM api.nobody_entries
    WHERE stage = :stage AND NOT (is_implied AND stage = 'mql') AND entered_at >= :since AND entered_at < :until
    ORDER BY nobody_id, version) AS first"""
# Leads are looked up one by one (hence OFFSET): the planner would rather open all of them.
_TALLY: Final = """WITH entered AS MATERIALIZED ({entered}), remaining AS MATERIALIZED ({remaining}),
counted AS (
    SELECT of.is_counted, sold.amount, sold.currency
    FROM entered AS e CROSS JOIN LATERAL (SELECT {is_counted} AS is_counted OFFSET 0) AS of
    LEFT JOIN LATERAL ({sold}) AS sold ON true{chosen}
    UNION ALL SELECT {is_counted_of_nobody}, {sold_by_nobody} FROM remaining AS e{chosen_of_nobody})
SELECT count(*) AS entries, count(*) FILTER (WHERE is_counted) AS counted,
    coalesce(sum(amount::numeric) FILTER (WHERE {is_amount}), 0)::double precision AS amount,
    coalesce(sum(amount::numeric) FILTER (WHERE {is_amount} AND is_counted), 0)::double precision AS counted_amount,
    count(*) FILTER (WHERE {is_amount} AND currency IS DISTINCT FROM CAST(:currency AS text)) AS other_currencies
FROM counted"""
_NOT_SOLD: Final = "SELECT NULL::double precision AS amount, NULL::text AS currency"
_SOLD: Final = """SELECT amount, currency FROM stages.published_actions AS a
    WHERE a.lead_id = e.lead_id AND a.event_id = e.cause_id OFFSET 0"""
_CHOSEN: Final = " WHERE e.lead_id = ANY(CAST(:chosen AS uuid[]))"
_CHOSEN_OF_NOBODY: Final = " WHERE CAST(:held AS text) = ANY(e.held)"


class _Counted(NamedTuple):
    """Which entries of leads count for a share, and which of nobody's."""

    of_lead: str = "true"
    of_nobody: str = "true"


_IS_SOURCED: Final = _Counted(
    """coalesce((
    SELECT first_team = :sourced_by FROM scoring.published_leads AS l WHERE l.lead_id = e.lead_id), false)""",
    """coalesce((
    SELECT first_team = :sourced_by FROM api.nobodies AS n WHERE n.nobody_id = e.nobody_id), false)""",
)
_HAS_REACHED: Final = _Counted(
    """EXISTS (SELECT FROM stages.published_transitions AS t
    WHERE t.lead_id = e.lead_id AND t.version > e.version AND t.to_stage = :reached
        AND NOT (t.implied AND t.to_stage = 'mql') AND t.occurred_at < :settles_at)""",
    """EXISTS (SELECT FROM api.nobody_entries AS t
    WHERE t.nobody_id = e.nobody_id AND t.version > e.version AND t.stage = :reached
        AND NOT (t.is_implied AND t.stage = 'mql') AND t.entered_at < :settles_at)""",
)

_TOLD: Final = """SELECT promise, since, state, warned_at, settled_at, reached, corrections
FROM sla.published_promises WHERE promise = ANY(CAST(:promises AS text[])) AND since >= :since"""

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
    """Reads what stages and scoring publish, and what remains of erased leads."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def entered(self, promise: Promise, period: PromisePeriod) -> list[EnteredLead]:
        """Every lead that entered the promise's stage in the period, whatever its `when` says."""
        rows = await self._of(_ENTERED, _values(promise, period))
        return [EnteredLead(row["lead_id"], row["occurred_at"], row["owner"]) for row in rows]

    async def tally(
        self, promise: Promise, period: PromisePeriod, *, currency: str | None, chosen: Sequence[UUID] | None
    ) -> Tally:
        """The entries of the period; with `chosen` only those of these leads, and of nobody whom `when` was true of."""
        statement, values = tally(promise, period, currency=currency, chosen=chosen)
        (row,) = await self._of(statement, values)
        return Tally(**row)

    async def told(self, promises: Sequence[str], since: datetime) -> dict[tuple[str, datetime], Row]:
        """By promise and beginning of the period what was told of it, in periods that began at this time or later."""
        rows = await self._of(_TOLD, {"promises": list(promises), "since": since})
        return {(row.pop("promise"), row.pop("since")): row for row in rows}

    async def facts(
        self, accords: Accords, entered: Sequence[EnteredLead], stage: str | None, *, asks_engagement: bool
    ) -> list[Facts]:
        """What was known at its entry of each lead (each once), as `GET /v1/leads/{lead}?at=` tells it. The engagement
        is worked out only if it is asked for: for that the lead's whole ledger is read."""
        lead_ids = [lead.lead_id for lead in entered]
        versions, inputs = await self.versions(lead_ids), await self.inputs(lead_ids)
        under = {lead.lead_id: accords.reached(lead.at, versions.get(lead.lead_id)) for lead in entered}
        ledgers = {}
        if asks_engagement:
            ledgers = await self.grants({lead_id: accord.version for lead_id, accord in under.items()})
        found: list[Facts] = []
        for lead_id, at, owner in entered:
            accord, snapshot = under[lead_id], snapshot_at(inputs[lead_id], at)
            fit = accord.fit(snapshot.profile, snapshot.email)
            engagement = explain(ledgers.get(lead_id, ()), accord, Moment(at)).engagement
            own: dict[str, Any] = {"engagement": engagement, "fit": fit.points, "grade": fit.grade}
            found.append(accord.facts(**own, stage=stage, owner=owner, lead=snapshot))
        return found

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
        return await self._rows(text(statement).bindparams(**values))


def tally(
    promise: Promise, period: PromisePeriod, *, currency: str | None, chosen: Sequence[UUID] | None
) -> tuple[str, dict[str, Any]]:
    """The statement, and what it is filled with."""
    values = _values(promise, period) | {"currency": currency}
    is_counted, is_sold = _Counted(), False
    if promise.that_reached is not None:
        is_counted = _HAS_REACHED
        values |= {"reached": promise.that_reached.value, "settles_at": settles_at(promise, period)}
    elif promise.sourced_by is not None:
        is_counted = _IS_SOURCED
        values["sourced_by"] = promise.sourced_by
        is_sold = promise.share_of in WITH_AMOUNT
    if chosen is not None:
        values["chosen"] = list(chosen)
    if promise.when is not None:
        values["held"] = key_of(promise.when)
    statement = _TALLY.format(
        entered=_ENTERED,
        remaining=_REMAINING,
        is_amount=IS_AMOUNT,
        is_counted=is_counted.of_lead,
        is_counted_of_nobody=is_counted.of_nobody,
        sold=_SOLD if is_sold else _NOT_SOLD,
        sold_by_nobody="amount, currency" if is_sold else "NULL, NULL",
        chosen=_CHOSEN if chosen is not None else "",
        chosen_of_nobody=_CHOSEN_OF_NOBODY if promise.when is not None else "",
    )
    return statement, values


def _values(promise: Promise, period: PromisePeriod) -> dict[str, Any]:
    stage = promise.counts or promise.share_of
    assert stage is not None, "a promise counts a stage or is a share of one"
    return {"stage": stage.value, "since": period.since, "until": period.until}
