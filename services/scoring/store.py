"""Reads and writes schema `scoring` a batch at a time, through the step's own connection."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.scoring.model import Batch, HistoryLine, LedgerLine, Older, State, instant
from shared.db.statement import Write
from shared.errors import AlreadyApplied
from shared.events.activity import Activity
from shared.events.codec import encode

STATE_COLUMNS = ("lead_id", "engagement", "fit", "grade", "state")

_STATES = "SELECT lead_id, state FROM scoring.leads WHERE lead_id = ANY($1::uuid[])"

# One write for all three tables. Keys come sorted, so that no two writers wait for each other.
_SAVE = """
kept AS (
    INSERT INTO scoring.history (lead_id, event_id, number, kind, received_at, body)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::timestamptz[], $6::bytea[])
    ON CONFLICT (lead_id, event_id) DO NOTHING RETURNING 1),
granted AS (
    INSERT INTO scoring.grants (lead_id, event_id, occurred_at, received_at, points, withheld, accord, type, rule, why)
    SELECT * FROM unnest($7::uuid[], $8::uuid[], $9::timestamptz[], $10::timestamptz[], $11::integer[], $12::integer[],
        $13::integer[], $14::text[], $15::text[], $16::text[])),
scored AS (
    INSERT INTO scoring.leads (lead_id, engagement, fit, grade, state)
    SELECT * FROM unnest($17::uuid[], $18::double precision[], $19::integer[], $20::text[], $21::text[])
    ON CONFLICT (lead_id) DO UPDATE SET engagement = excluded.engagement, fit = excluded.fit, grade = excluded.grade,
        state = excluded.state)
"""
_KEPT = "SELECT count(*) FROM kept"

_APPLIED = """
SELECT event_id FROM unnest($1::uuid[], $2::uuid[]) AS sent (lead_id, event_id)
JOIN scoring.history USING (lead_id, event_id)
"""

_GRANTS = (
    "SELECT lead_id, rule, points, occurred_at FROM scoring.grants WHERE lead_id = ANY($1::uuid[]) AND points <> 0"
)

_ACTIVITIES = """
SELECT lead_id, received_at, body FROM scoring.history WHERE lead_id = ANY($1::uuid[]) AND kind = 'activity'
"""

_HISTORY = """
SELECT lead_id, event_id, number, kind, received_at, body FROM scoring.history WHERE lead_id = $1 ORDER BY number
"""

_STATE = msgspec.json.Decoder(State)
_ACTIVITY = msgspec.json.Decoder(Activity)


class PostgresStore:
    """The tables of scoring."""

    async def states(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, State]:
        """The states of those of these leads that have one."""
        return {row[0]: decode_state(row[1]) for row in await connection.fetch(_STATES, lead_ids)}

    async def older(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, Older]:
        """All grants and activities of these leads: slow, and rarely asked for."""
        found = {lead_id: Older([], []) for lead_id in lead_ids}
        for lead_id, rule, points, occurred_at in await connection.fetch(_GRANTS, lead_ids):
            found[lead_id].grants.append((rule, instant(occurred_at), points))
        for lead_id, received_at, body in await connection.fetch(_ACTIVITIES, lead_ids):
            found[lead_id].remember(_ACTIVITY.decode(body), received_at, ())
        return found

    def save(self, batch: Batch) -> Write:
        """Refused with AlreadyApplied when the history has some of these events."""
        history = _columns(batch.history)
        ledger = _columns(batch.ledger) if batch.ledger else [()] * len(LedgerLine._fields)
        states = _columns(_state_rows(batch.states))

        async def explain(connection: Any) -> Exception:
            return AlreadyApplied([row[0] for row in await connection.fetch(_APPLIED, *history[:2])])

        return Write(_SAVE, (*history, *ledger, *states), _KEPT, len(batch.history), explain)


def _columns(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True))


def _state_rows(states: dict[UUID, State]) -> list[tuple[Any, ...]]:
    # In key order, so that no two writers wait for each other.
    return [state_row(lead_id, state) for lead_id, state in sorted(states.items(), key=lambda item: item[0].int)]


def state_row(lead_id: UUID, state: State) -> tuple[Any, ...]:
    """The state as it stands in the table: a value for each of STATE_COLUMNS."""
    return lead_id, state.engagement, state.fit, state.grade, encode_state(state)


def encode_state(state: State) -> str:
    """The state as JSON text, a list in the order of its fields; the published view reads some of them."""
    return encode(state).decode()


def decode_state(text: str) -> State:
    """The state that was encoded, to the last digit."""
    return _STATE.decode(text)


async def history_of(connection: Any, lead_id: UUID) -> list[HistoryLine]:
    """One lead's whole history in its order: what a replay folds."""
    return [HistoryLine(*row) for row in await connection.fetch(_HISTORY, lead_id)]
