"""What remains of an erased lead: rows of nobody, under an id made at random, with what reports count (ADR 21).

They are made of what the services publish just before the erasure is told to the log, and never changed after that.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.model import RUNNING_STATES
from services.api.store.database import rows_in
from services.api.store.promises import EnteredLead, PromiseStore
from services.api.store.rolled import ENTRIES, LEADS, TOUCHES
from shared.agreement.condition_keys import key_of
from shared.agreement.conditions import Condition, compile_condition, tests_of
from shared.agreement.promises import WITH_AMOUNT
from shared.agreement.versions import Accords

_OF_LEAD: Final = "lead_id = CAST(:lead_id AS uuid)"
_OF: Final = {"leads": _OF_LEAD, "moves": _OF_LEAD, "nobodies": "false", "began": "NULL"}
_WITH_AMOUNT: Final = ", ".join(f"'{stage}'" for stage in sorted(WITH_AMOUNT))
_RUNNING: Final = ", ".join(f"'{state}'" for state in RUNNING_STATES)
# A shorter identifier stands in many a name by chance.
IDENTIFIER_LENGTH_MIN: Final = 6


def _impersonal(name: str) -> str:
    """A name as it was sent, unless it says who the lead was: one with an address in it, or an identifier of theirs."""
    return f"CASE WHEN {_is_personal(name)} THEN NULL ELSE {name} END"


def _is_personal(name: str) -> str:
    return f"""({name} ~ '[^[:space:]]@[^[:space:]]+[.]' OR EXISTS (
        SELECT FROM ingest.published_identities AS of_lead WHERE of_lead.{_OF_LEAD}
        AND length(value) >= {IDENTIFIER_LENGTH_MIN} AND strpos(lower({name}), lower(value)) > 0))"""


_CAMPAIGN, _SOURCE = _impersonal("campaign"), _impersonal("source")
# One statement, which sees one moment. A clock that still runs never ends: it has started, and nothing came of it.
_MAKE: Final = f"""WITH begun AS MATERIALIZED ({LEADS.format(**_OF)}),
known AS MATERIALIZED (SELECT first_team FROM scoring.published_leads WHERE {_OF_LEAD}),
entered AS MATERIALIZED ({ENTRIES.format(**_OF)}),
moved AS MATERIALIZED (
    SELECT t.version, t.to_stage, t.occurred_at, t.implied, t.owner, e.left_at, e.is_only, e.contacted_at, e.source,
        e.campaign, sold.amount, sold.currency
    FROM stages.published_transitions AS t LEFT JOIN entered AS e USING (version)
    LEFT JOIN LATERAL (
        SELECT amount, currency FROM stages.published_actions AS a
        WHERE t.to_stage IN ({_WITH_AMOUNT}) AND a.lead_id = t.lead_id AND a.event_id = t.cause_id OFFSET 0) AS sold
        ON true
    WHERE t.{_OF_LEAD}),
clocks AS MATERIALIZED (
    SELECT rule, CASE WHEN state IN ({_RUNNING}) THEN 'cancelled' ELSE state END AS state, owner, team, started_at,
        response_seconds
    FROM sla.published_clocks WHERE {_OF_LEAD} AND state <> 'late_start'),
nobody AS (INSERT INTO api.nobodies (nobody_id, began_at, left_at, source, campaign, first_team)
    SELECT CAST(:nobody_id AS uuid), began_at, left_at, {_SOURCE}, {_CAMPAIGN}, (SELECT first_team FROM known)
    FROM (SELECT) AS one LEFT JOIN begun ON true
    WHERE EXISTS (TABLE known) OR EXISTS (TABLE moved) OR EXISTS (TABLE clocks)),
entries AS (INSERT INTO api.nobody_entries (nobody_id, version, stage, entered_at, left_at, is_only, is_implied,
        contacted_at, owner, source, campaign, amount, currency)
    SELECT CAST(:nobody_id AS uuid), version, to_stage, occurred_at, left_at, coalesce(is_only, false), implied,
        contacted_at, owner, {_SOURCE}, {_CAMPAIGN}, amount, {_impersonal("currency")} FROM moved),
touches AS (INSERT INTO api.nobody_touches (nobody_id, version, kind, key, stage, entered_at, amount, currency, touches,
        touches_of_all, is_first, is_last)
    SELECT CAST(:nobody_id AS uuid), version, kind, {_impersonal("key")}, stage, entered_at, amount,
        {_impersonal("currency")}, touches, touches_of_all, is_first, is_last FROM ({TOUCHES.format(**_OF)}) AS touched)
INSERT INTO api.nobody_clocks (nobody_id, rule, state, owner, team, started_at, response_seconds)
SELECT CAST(:nobody_id AS uuid), rule, state, owner, team, started_at, response_seconds FROM clocks"""
_MADE: Final = """SELECT version, stage, entered_at, owner FROM api.nobody_entries
WHERE nobody_id = :nobody_id ORDER BY version"""
_HOLD: Final = """UPDATE api.nobody_entries SET held = CAST(:held AS text[])
WHERE nobody_id = :nobody_id AND version = :version"""
# Such a name would stand in the names of reports for ever. Where another lead's rows have it too, it is their loss.
_FORGET_NAMES: Final = f"""DELETE FROM api.report_names AS n WHERE n.name_id IN (
    SELECT name_id FROM api.report_leads AS l CROSS JOIN LATERAL (VALUES (source), (campaign)) AS of (name_id)
    WHERE {_OF_LEAD}
    UNION SELECT key FROM api.report_touches WHERE {_OF_LEAD}
    UNION SELECT currency FROM api.report_touches WHERE {_OF_LEAD}) AND {_is_personal("n.name")}"""


async def make_nobody(
    connection: AsyncConnection, lead_id: UUID, nobody_id: UUID, accords: Accords, now: datetime
) -> None:
    """Of everything that is counted of the lead now. What nothing is counted of leaves nothing."""
    of_lead = {"lead_id": lead_id}
    await connection.execute(text(_MAKE), {**of_lead, "nobody_id": nobody_id})
    await _judge(connection, lead_id, nobody_id, accords, _conditions(accords, now))
    await connection.execute(text(_FORGET_NAMES), of_lead)


def _conditions(accords: Accords, now: datetime) -> Mapping[str, Mapping[str, Condition]]:
    """By stage and key what promises ask of those who enter it: those of the accord in force, and of signed ones that
    come into effect later."""
    in_force = accords.at(now)
    found: dict[str, dict[str, Condition]] = {}
    for accord in (in_force, *accords.since(in_force.version, accords.newest.version)):
        for promise in accord.document.sla.promises:
            stage = promise.counts or promise.share_of
            if promise.when is not None and stage is not None:
                found.setdefault(stage.value, {})[key_of(promise.when)] = promise.when
    return found


async def _judge(
    connection: AsyncConnection,
    lead_id: UUID,
    nobody_id: UUID,
    accords: Accords,
    conditions: Mapping[str, Mapping[str, Condition]],
) -> None:
    """Keeps with each entry which of these held at it: what they were judged on goes with the lead."""
    store = PromiseStore(rows_in(connection))
    for row in (await connection.execute(text(_MADE), {"nobody_id": nobody_id})).mappings().all():
        asked = conditions.get(row["stage"], {})
        if asked:
            fields = {test.field for condition in asked.values() for test in tests_of(condition)}
            entered = [EnteredLead(lead_id, row["entered_at"], row["owner"])]
            (facts,) = await store.facts(accords, entered, row["stage"], asks_engagement="engagement" in fields)
            held = sorted(key for key, condition in asked.items() if compile_condition(condition)(facts))
            values = {"held": held, "nobody_id": nobody_id, "version": row["version"]}
            await connection.execute(text(_HOLD), values)
