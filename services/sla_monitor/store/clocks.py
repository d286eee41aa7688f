"""The tables of schema `sla`: a batch of leads in, a batch out. What is written is part of the caller's step."""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from pydantic_core import from_json

from services.sla_monitor.model.decisions import announcement_id
from services.sla_monitor.model.states import UNSETTLED, Clock, ClockState, HistoryEntry, Input, Lead, Received, Tick
from shared.agreement.clocks import Pause
from shared.db.statement import Write
from shared.errors import AlreadyApplied
from shared.events.base import LeadSnapshot
from shared.events.codec import DECODERS, encode
from shared.events.sla import ClockEvent

Connection = Any  # asyncpg ships no types
_SNAPSHOT: Final = msgspec.json.Decoder(LeadSnapshot)

TICK: Final = "tick"
_CLOCK_TYPES: Final = {
    "lead_id": "uuid",
    "clock_id": "uuid",
    "rule": "text",
    "attempt": "integer",
    "accord": "integer",
    "entry": "integer",
    "state": "text",
    "owner": "text",
    "team": "text",
    "started_at": "timestamptz",
    "deadline": "timestamptz",
    "ladder_steps": "smallint",
    "next_due_at": "timestamptz",
    "met_at": "timestamptz",
    "breached_at": "timestamptz",
    "announced_at": "timestamptz",
    "resolved_at": "timestamptz",
    "voided_at": "timestamptz",
    "closed_at": "timestamptz",
    "lateness_seconds": "double precision",
    "is_lagging": "boolean",
    "response_seconds": "double precision",
    "pauses": "text",
    "pauses_told": "smallint",
    "paused_until": "timestamptz",
    "then_steps": "smallint",
    "then_due_at": "timestamptz",
    "reassigned_by": "uuid",
    "tried": "text",
}
assert tuple(_CLOCK_TYPES) == Clock._fields
_PAUSES, _TRIED = Clock._fields.index("pauses"), Clock._fields.index("tried")
_NONE: Final = "[]"
_CLOCK_COLUMNS: Final = ", ".join(_CLOCK_TYPES)
LEAD_COLUMNS: Final = (
    *("lead_id", "entry", "stage", "owner", "team", "accord", "inputs", "after_seq"),
    *("touches", "snapshot", "snoozes"),
)

LOAD_LEADS: Final = """
SELECT lead_id, entry, stage, owner, team, accord, inputs, after_seq, touches::text, snapshot::text, snoozes::text
FROM sla.leads WHERE lead_id = ANY($1::uuid[])"""
LOAD_CLOCKS: Final = (
    f"SELECT {_CLOCK_COLUMNS} FROM sla.clocks WHERE lead_id = ANY($1::uuid[]) AND state = ANY($2::text[])"
)

SAVE_LEADS: Final = """kept_leads AS (
INSERT INTO sla.leads (lead_id, entry, stage, owner, team, accord, inputs, after_seq, touches, snapshot, snoozes)
SELECT l.lead_id, l.entry, l.stage, l.owner, l.team, l.accord, l.inputs, l.after_seq, l.touches::json, l.snapshot::json,
    l.snoozes::json
FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::integer[], $8::bigint[],
    $9::text[], $10::text[], $11::text[])
    AS l(lead_id, entry, stage, owner, team, accord, inputs, after_seq, touches, snapshot, snoozes)
ON CONFLICT (lead_id) DO UPDATE SET entry = EXCLUDED.entry, stage = EXCLUDED.stage, owner = EXCLUDED.owner,
    team = EXCLUDED.team, accord = EXCLUDED.accord, inputs = EXCLUDED.inputs, after_seq = EXCLUDED.after_seq,
    touches = EXCLUDED.touches, snapshot = EXCLUDED.snapshot, snoozes = EXCLUDED.snoozes)"""

SAVE_CLOCKS: Final = f"""kept_clocks AS (
INSERT INTO sla.clocks (partition, {_CLOCK_COLUMNS})
SELECT $1::smallint, c.* FROM unnest({", ".join(f"${n}::{t}[]" for n, t in enumerate(_CLOCK_TYPES.values(), 2))}) AS c
ON CONFLICT (lead_id, clock_id) DO UPDATE SET
    {", ".join(f"{name} = EXCLUDED.{name}" for name in _CLOCK_TYPES if name not in ("lead_id", "clock_id"))})"""

# Fails on one that was made before: nothing is announced twice.
SAVE_ANNOUNCEMENTS: Final = """announced AS (
INSERT INTO sla.clock_events (lead_id, event_id, clock_id, type, occurred_at, rule, owner, level, pause)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[], $7::text[],
    $8::integer[], $9::integer[]))"""

APPEND: Final = """appended AS (
INSERT INTO sla.history (lead_id, number, event_id, type, received_at, seq, cause, body)
SELECT h.lead_id, h.number, h.event_id, h.type, h.received_at, h.seq, h.cause, h.body::json
FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::timestamptz[], $6::bigint[], $7::uuid[], $8::text[])
    AS h(lead_id, number, event_id, type, received_at, seq, cause, body)
ON CONFLICT (lead_id, event_id) DO NOTHING RETURNING 1)"""
APPENDED: Final = "SELECT count(*) FROM appended"
APPLIED: Final = """
SELECT event_id FROM unnest($1::uuid[], $2::uuid[]) AS sent (lead_id, event_id)
JOIN sla.history USING (lead_id, event_id)"""

HISTORY: Final = """
SELECT event_id, type, received_at, seq, cause, body::text AS body FROM sla.history
WHERE lead_id = $1 ORDER BY number"""

# The first moment to announce something, and the first to carry out what was announced while the line lagged.
EARLIEST: Final = """
SELECT (SELECT min(next_due_at) FROM sla.clocks WHERE partition = $1 AND next_due_at IS NOT NULL),
    (SELECT min(then_due_at) FROM sla.clocks WHERE partition = $1 AND then_due_at IS NOT NULL)"""
# The lock makes a second sweep of the same clocks wait and then find them done; the epoch forbids it anyway.
DUE: Final = """
SELECT lead_id, clock_id FROM sla.clocks WHERE partition = $1 AND next_due_at <= $2
ORDER BY next_due_at, clock_id LIMIT $3 FOR UPDATE"""
THEN_DUE: Final = """
SELECT lead_id, clock_id FROM sla.clocks WHERE partition = $1 AND then_due_at <= $2
ORDER BY then_due_at, clock_id LIMIT $3 FOR UPDATE"""
ABSENT: Final = """
SELECT owner FROM api.published_owners
WHERE is_gone OR is_paused AND (paused_until IS NULL OR paused_until > $1) ORDER BY owner"""
RUNNING_BY_RULE: Final = """
SELECT rule, count(*) FROM sla.clocks WHERE next_due_at IS NOT NULL AND state IN ('open', 'warned', 'paused')
GROUP BY rule"""


async def load(connection: Connection, lead_ids: Iterable[UUID]) -> dict[UUID, Lead]:
    """The leads that are known, each with its unsettled clocks."""
    ids = sorted(set(lead_ids))
    rows = await connection.fetch(LOAD_LEADS, ids)
    if not rows:
        return {}
    clocks: dict[UUID, list[Clock]] = {}
    for row in await connection.fetch(LOAD_CLOCKS, ids, [str(state) for state in UNSETTLED]):
        clock = _clock(row)
        clocks.setdefault(clock.lead_id, []).append(clock)
    return {row[0]: _lead(row, clocks.get(row[0], ())) for row in rows}


def save(partition: int, leads: Iterable[Lead], unchanged: Container[Clock]) -> list[Write]:
    """Leads with those of their clocks that changed, in key order."""
    ordered = sorted(leads, key=lambda lead: lead.lead_id)
    if not ordered:
        return []
    writes = [Write(SAVE_LEADS, list(zip(*[lead_row(lead) for lead in ordered], strict=True)))]
    changed = (clock for lead in ordered for clock in lead.clocks if clock not in unchanged)
    clocks = sorted(changed, key=lambda clock: clock[:2])
    if clocks:
        writes.append(Write(SAVE_CLOCKS, (partition, *zip(*map(clock_row, clocks), strict=True))))
    return writes


def save_announcements(announcements: Sequence[ClockEvent]) -> list[Write]:
    rows = [
        (e.lead_id, announcement_id(e), e.clock_id, e.TYPE, e.occurred_at, e.rule, e.owner, e.level, e.pause)
        for e in announcements
    ]
    return [Write(SAVE_ANNOUNCEMENTS, list(zip(*rows, strict=True)))] if rows else []


def append(entries: Sequence[HistoryEntry]) -> list[Write]:
    """Adds inputs to the history. Refused with AlreadyApplied when some stood there before."""
    rows = [history_row(entry) for entry in entries]

    async def explain(connection: Connection) -> Exception:
        keys = ([row[0] for row in rows], [row[2] for row in rows])
        return AlreadyApplied([row[0] for row in await connection.fetch(APPLIED, *keys)])

    return [Write(APPEND, list(zip(*rows, strict=True)), APPENDED, len(rows), explain)] if rows else []


async def history(connection: Connection, lead_id: UUID) -> list[Input]:
    """Every input of a lead in the order applied: what the fold of the model replays."""
    return [input_of(lead_id, row) for row in await connection.fetch(HISTORY, lead_id)]


async def earliest_due(connection: Connection, partition: int) -> tuple[datetime | None, datetime | None]:
    """When something is to be announced, and when something announced is to be carried out."""
    announced, carried_out = await connection.fetchrow(EARLIEST, partition)
    return announced, carried_out


async def due(connection: Connection, partition: int, until: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """(lead, clock) of what is to be announced, in the order of moments."""
    return [(row[0], row[1]) for row in await connection.fetch(DUE, partition, until, limit)]


async def then_due(connection: Connection, partition: int, until: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """(lead, clock) of what was announced and is to be carried out."""
    return [(row[0], row[1]) for row in await connection.fetch(THEN_DUE, partition, until, limit)]


async def absent_owners(connection: Connection, now: datetime) -> tuple[str, ...]:
    """The owners who take no leads now."""
    return tuple(row[0] for row in await connection.fetch(ABSENT, now))


async def running_by_rule(connection: Connection) -> Mapping[str, int]:
    return {row[0]: row[1] for row in await connection.fetch(RUNNING_BY_RULE)}


def history_row(entry: HistoryEntry) -> tuple[Any, ...]:
    """The input as it stands in the table: lead, number, event, type, received, seq, cause and body."""
    given, key = entry.given, (entry.lead_id, entry.number, entry.given.event_id)
    if isinstance(given, Received):
        return (*key, given.payload.TYPE, given.received_at, given.seq, given.cause, entry.body)
    body: dict[str, Any] = {"clock_id": str(given.clock_id), "until": given.until.isoformat()}
    body |= {"is_lagging": given.is_lagging, **({"absent": given.absent} if given.absent else {})}
    return (*key, TICK, given.at, None, None, json.dumps(body))


def _lead(row: Any, clocks: Iterable[Clock]) -> Lead:
    touches = {action: tuple(map(datetime.fromisoformat, times)) for action, times in from_json(row[8]).items()}
    return Lead._make((*row[:8], touches, _SNAPSHOT.decode(row[9]), _pauses(row[10]), tuple(clocks)))


def lead_row(lead: Lead) -> tuple[Any, ...]:
    """The lead as it stands in the table: a value for each of LEAD_COLUMNS."""
    touches = json.dumps({action: [at.isoformat() for at in times] for action, times in lead.touches.items()})
    return (*lead[:8], touches, encode(lead.snapshot).decode(), _pauses_text(lead.snoozes))


def _clock(row: Any) -> Clock:
    clock, pauses, tried = Clock(*row), row[_PAUSES], row[_TRIED]
    return clock._replace(
        state=ClockState(clock.state),
        pauses=() if pauses == _NONE else _pauses(pauses),
        tried=() if tried == _NONE else tuple(from_json(tried)),
    )


def clock_row(clock: Clock) -> tuple[Any, ...]:
    """The clock as it stands in the table: a value for each of Clock's fields."""
    if not clock.pauses and not clock.tried:
        return (*clock[:_PAUSES], _NONE, *clock[_PAUSES + 1 : _TRIED], _NONE)
    between = clock[_PAUSES + 1 : _TRIED]
    return (*clock[:_PAUSES], _pauses_text(clock.pauses), *between, json.dumps(clock.tried))


def _pauses(text: str) -> tuple[Pause, ...]:
    return tuple(Pause(*map(datetime.fromisoformat, pause)) for pause in from_json(text))


def _pauses_text(pauses: Iterable[Pause]) -> str:
    return json.dumps([[pause.from_.isoformat(), pause.to.isoformat()] for pause in pauses])


def input_of(lead_id: UUID, row: Any) -> Input:
    """From a row of the history: event_id, type, received_at, seq, cause, and body as text."""
    if row["type"] == TICK:
        body = from_json(row["body"])
        until, absent = datetime.fromisoformat(body["until"]), tuple(body.get("absent", ()))
        clock_id, is_lagging = UUID(body["clock_id"]), body["is_lagging"]
        return Tick(row["event_id"], lead_id, clock_id, row["received_at"], until, is_lagging, absent)
    payload = DECODERS[row["type"]].decode(row["body"])
    return Received(row["event_id"], row["received_at"], row["seq"], payload, row["cause"])  # type: ignore[arg-type]
