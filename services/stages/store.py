"""Reads and writes schema `stages` a batch at a time, through the step's own connection."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.stages.model import (
    Absence,
    Batch,
    HistoryLine,
    Load,
    Routing,
    Rows,
    State,
    Sticky,
    TransitionLine,
    stamp_from_json,
    stamp_to_json,
)
from shared.agreement.clocks import Pause
from shared.db.columns import Columns, columns
from shared.db.statement import Write
from shared.errors import AlreadyApplied
from shared.events.base import LeadSnapshot
from shared.events.codec import encode
from shared.events.lifecycle import IgnoredReason, Stage

STATE_COLUMNS = (
    *("lead_id", "stage", "version", "owner", "team", "engagement", "fit", "grade"),
    *("updated_at", "entered_at", "email", "state"),
)
HISTORY_COLUMNS = ("lead_id", "event_id", "number", "received_at", "body", "stamp", "ignored")
TRANSITION_COLUMNS = (
    *("lead_id", "version", "event_id", "cause_id", "occurred_at"),
    *("from_stage", "to_stage", "reason", "action", "is_implied", "owner"),
)

_STATES = """
SELECT lead_id, stage, version, owner, team, engagement, fit, grade, updated_at, state
FROM stages.leads WHERE lead_id = ANY($1::uuid[])
"""

_LINES = Columns("uuid", "uuid", "integer", "timestamptz", "bytea", "text", "text")
_LEADS = Columns(
    *("uuid", "text", "integer", "text", "text", "double precision", "integer", "text"),
    *("timestamptz", "timestamptz", "text", "text"),
)

# One write for both tables that every batch writes. Keys come sorted, so that no two writers wait for each other.
_SAVE = f"""
kept AS (
    INSERT INTO stages.history (lead_id, event_id, number, received_at, body, stamp, ignored)
    SELECT {_LINES.unnested()}
    ON CONFLICT (lead_id, event_id) DO NOTHING RETURNING 1),
moved AS (
    INSERT INTO stages.leads (lead_id, stage, version, owner, team, engagement, fit, grade, updated_at, entered_at,
        email, state)
    SELECT {_LEADS.unnested(8)}
    ON CONFLICT (lead_id) DO UPDATE SET stage = excluded.stage, version = excluded.version, owner = excluded.owner,
        team = excluded.team, engagement = excluded.engagement, fit = excluded.fit, grade = excluded.grade,
        updated_at = excluded.updated_at, entered_at = excluded.entered_at, email = excluded.email,
        state = excluded.state)
"""
_KEPT = "SELECT count(*) FROM kept"

_APPLIED = """
SELECT event_id FROM unnest($1::uuid[], $2::uuid[]) AS sent (lead_id, event_id)
JOIN stages.history USING (lead_id, event_id)
"""

_SAVE_TRANSITIONS = """entered AS (
INSERT INTO stages.transitions (lead_id, version, event_id, cause_id, occurred_at, from_stage, to_stage, reason, action,
    is_implied, owner)
SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::boolean[], $11::text[]))
"""

# Sticky values as they stand, and who is absent, as people configured it: nothing is locked.
_OUTSIDE = """
SELECT value, owner, team, NULL::boolean AS is_gone, NULL::timestamptz AS paused_until FROM stages.sticky
WHERE value = ANY($1::text[]) AND owner IS NOT NULL
UNION ALL SELECT NULL, owner, NULL, is_gone, paused_until FROM api.published_owners WHERE is_gone OR is_paused
"""

# Makes the rows that aren't there and locks those that are: always sticky values first, then teams, then loads, each in
# the order given. One statement, because other partitions wait for these locks.
_LOCK = """
WITH valued AS (
    INSERT INTO stages.sticky (value) SELECT unnest($1::text[])
    ON CONFLICT (value) DO UPDATE SET value = excluded.value RETURNING value, owner, team),
turned AS (
    INSERT INTO stages.turns (team) SELECT unnest($2::text[])
    ON CONFLICT (team) DO UPDATE SET team = excluded.team RETURNING team, turn),
loaded AS (
    INSERT INTO stages.loads (owner, day) SELECT * FROM unnest($3::text[], $4::date[])
    ON CONFLICT (owner, day) DO UPDATE SET owner = excluded.owner RETURNING owner, day, leads)
SELECT value, owner, team, NULL AS number, NULL::date AS day FROM valued
UNION ALL SELECT NULL, NULL, team, turn, NULL FROM turned
UNION ALL SELECT NULL, owner, NULL, leads, day FROM loaded
"""

_SAVE_STICKY = """valued AS (
UPDATE stages.sticky SET owner = now.owner, team = now.team
FROM unnest($1::text[], $2::text[], $3::text[]) AS now (value, owner, team)
WHERE sticky.value = now.value AND (sticky.owner, sticky.team) IS DISTINCT FROM (now.owner, now.team))
"""
_SAVE_TURNS = """turned AS (
UPDATE stages.turns SET turn = now.turn FROM unnest($1::text[], $2::bigint[]) AS now (team, turn)
WHERE turns.team = now.team)
"""
# Added, not set: of an owner without a bound nobody asks, and so nobody locks the row before.
_SAVE_LOADS = """loaded AS (
INSERT INTO stages.loads AS l (owner, day, leads) SELECT * FROM unnest($1::text[], $2::date[], $3::integer[])
ON CONFLICT (owner, day) DO UPDATE SET leads = l.leads + excluded.leads)
"""

_HISTORY = f"SELECT {', '.join(HISTORY_COLUMNS)} FROM stages.history WHERE lead_id = $1 ORDER BY number"

# What of a state is no column.
REST_FIELDS = (
    *("number", "accord", "created_at", "entered_at", "is_scored", "lead", "is_handed_over"),
    *("snoozes", "contacted_at"),
)
_Moment = datetime | None
_REST = msgspec.json.Decoder(tuple[int, int, _Moment, _Moment, bool, LeadSnapshot, bool, tuple[Pause, ...], _Moment])


class PostgresStore:
    """The tables of stages."""

    async def states(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, State]:
        """The states of those of these leads that have one."""
        return {row[0]: _state(row) for row in await connection.fetch(_STATES, lead_ids)}

    async def outside(self, connection: Any, values: Collection[str]) -> Routing:
        """Who has which of these sticky values, and who is absent, without a lock."""
        sticky: dict[str, Sticky] = {}
        absences: dict[str, Absence] = {}
        for value, owner, team, is_gone, paused_until in await connection.fetch(_OUTSIDE, sorted(values)):
            if value is None:
                absences[owner] = Absence(is_gone, paused_until)
            else:
                sticky[value] = Sticky(owner, team)
        return Routing(sticky=sticky, absences=absences)

    async def lock(self, connection: Any, rows: Rows, *, again: bool) -> Routing:
        """The rows that routing needs, held until the step's commit. `again` lets go of what this held before: a step
        that took some rows, and then others that stand before them, could wait in a circle with another step."""
        await connection.execute("ROLLBACK TO SAVEPOINT routing" if again else "SAVEPOINT routing")
        sticky: dict[str, Sticky] = {}
        turns: dict[str, int] = {}
        loads: dict[Load, int] = {}
        owners, days = [load.owner for load in sorted(rows.loads)], [load.day for load in sorted(rows.loads)]
        found = await connection.fetch(_LOCK, sorted(rows.values), sorted(rows.teams), owners, days)
        for value, owner, team, number, day in found:
            if day is not None:
                loads[Load(owner, day)] = number
            elif value is None:
                turns[team] = number
            elif owner is not None:
                sticky[value] = Sticky(owner, team)
        return Routing(turns, sticky, loads)

    def save(self, batch: Batch) -> list[Write]:
        """Refused with AlreadyApplied when the history has some of these events."""
        history = _LINES.of([history_row(line) for line in batch.history])
        rows = [state_row(state) for _, state in sorted(batch.states.items(), key=lambda item: item[0].int)]

        async def explain(connection: Any) -> Exception:
            return AlreadyApplied([row[0] for row in await connection.fetch(_APPLIED, *history[:2])])

        writes = [Write(_SAVE, (*history, *_LEADS.of(rows)), _KEPT, len(batch.history), explain)]
        if batch.transitions:
            writes.append(Write(_SAVE_TRANSITIONS, columns([transition_row(line) for line in batch.transitions])))
        if batch.routing.sticky:
            values = [(value, *sticky) for value, sticky in batch.routing.sticky.items()]
            writes.append(Write(_SAVE_STICKY, columns(values)))
        if batch.routing.turns:
            writes.append(Write(_SAVE_TURNS, columns(list(batch.routing.turns.items()))))
        if batch.given:
            given = [(*load, leads) for load, leads in sorted(batch.given.items())]
            writes.append(Write(_SAVE_LOADS, columns(given)))
        return writes


def history_row(line: HistoryLine) -> tuple[Any, ...]:
    """The line as it stands in the table: a value for each of HISTORY_COLUMNS."""
    *plain, stamp, ignored = line
    return (*plain, stamp and encode(stamp_to_json(stamp)).decode(), ignored)


def transition_row(line: TransitionLine) -> tuple[Any, ...]:
    """A value for each of TRANSITION_COLUMNS."""
    event_id, cause_id, changed = line
    where = (changed.lead_id, changed.version, event_id, cause_id, changed.occurred_at)
    what = (changed.from_stage, changed.to_stage, changed.reason, changed.action, changed.implied, changed.owner)
    return (*where, *what)


def state_row(state: State) -> tuple[Any, ...]:
    """The state as it stands in the table: a value for each of STATE_COLUMNS."""
    times = (state.created_at, state.entered_at)
    pauses = (state.snoozes, state.contacted_at)
    rest = (state.number, state.accord, *times, state.is_scored, state.lead, state.is_handed_over, *pauses)
    return (
        state.lead_id,
        state.stage,
        state.version,
        state.owner,
        state.team,
        state.engagement,
        state.fit,
        state.grade,
        state.updated_at,
        state.entered_at or state.created_at,
        state.lead.email,
        encode(rest).decode(),
    )


def _state(row: Any) -> State:
    lead_id, stage, version, owner, team, engagement, fit, grade, updated_at, rest = row
    number, accord, created_at, entered_at, is_scored, lead, is_handed_over, snoozes, contacted_at = _REST.decode(rest)
    return State(
        lead_id=lead_id,
        stage=Stage(stage),
        version=version,
        number=number,
        accord=accord,
        created_at=created_at,
        updated_at=updated_at,
        entered_at=entered_at,
        owner=owner,
        team=team,
        engagement=engagement,
        fit=fit,
        grade=grade,
        lead=lead,
        is_scored=is_scored,
        is_handed_over=is_handed_over,
        snoozes=snoozes,
        contacted_at=contacted_at,
    )


async def history_of(connection: Any, lead_id: UUID) -> list[HistoryLine]:
    """One lead's whole history in its order: with the scores that scoring's history gives, what a replay folds."""
    return [history_line(row) for row in await connection.fetch(_HISTORY, lead_id)]


def history_line(row: Any) -> HistoryLine:
    """From the values of HISTORY_COLUMNS."""
    lead_id, event_id, number, received_at, body, stamp, ignored = row
    return HistoryLine(
        lead_id,
        event_id,
        number,
        received_at,
        body,
        stamp_from_json(msgspec.json.decode(stamp)) if stamp else None,
        IgnoredReason(ignored) if ignored else None,
    )
