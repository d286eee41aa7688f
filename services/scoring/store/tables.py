"""States, histories and ledgers of leads."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.scoring.model import Batch, Done, HistoryLine, Kept, LedgerLine, Past, State, instant
from shared.db.columns import Columns, columns
from shared.db.statement import Write
from shared.errors import AlreadyApplied
from shared.events.base import Instant
from shared.events.codec import encode

STATE_COLUMNS = ("lead_id", "partition", "accord", "engagement", "fit", "grade", "state")

_STATES = "SELECT lead_id, state FROM scoring.leads WHERE lead_id = ANY($1::uuid[])"

_LINES = Columns("uuid", "uuid", "integer", "text", "timestamptz", "bytea", "text")
_LEADS = Columns("uuid", "smallint", "integer", "double precision", "integer", "text", "text")

# One write for the two tables of every batch. Keys come sorted, so that no two writers wait for each other.
_SAVE = f"""
kept AS (
    INSERT INTO scoring.history (lead_id, event_id, number, kind, received_at, body, granted)
    SELECT {_LINES.unnested()}
    ON CONFLICT (lead_id, event_id) DO NOTHING RETURNING 1),
scored AS (
    INSERT INTO scoring.leads (lead_id, partition, accord, engagement, fit, grade, state)
    SELECT {_LEADS.unnested(8)}
    ON CONFLICT (lead_id) DO UPDATE SET accord = excluded.accord, engagement = excluded.engagement, fit = excluded.fit,
        grade = excluded.grade, state = excluded.state)
"""
_KEPT = "SELECT count(*) FROM kept"

_KEEP_LEDGER = """
granted_anew AS (
    INSERT INTO scoring.grants (lead_id, event_id, occurred_at, received_at, points, withheld, accord, type, rule, why)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::integer[],
        $7::integer[], $8::text[], $9::text[], $10::text[]))
"""

_APPLIED = """
SELECT event_id FROM unnest($1::uuid[], $2::uuid[]) AS sent (lead_id, event_id)
JOIN scoring.history USING (lead_id, event_id)
"""

_GRANTS = """
SELECT lead_id, accord, rule, points, occurred_at FROM scoring.ledger WHERE lead_id = ANY($1::uuid[]) AND points <> 0
"""

_DONE = """
SELECT lead_id, event_id, received_at, body FROM scoring.history WHERE lead_id = ANY($1::uuid[]) AND kind = 'activity'
ORDER BY lead_id, number
"""

_HISTORY = """
SELECT lead_id, event_id, number, kind, received_at, body, granted FROM scoring.history WHERE lead_id = $1
ORDER BY number
"""

_STATE = msgspec.json.Decoder(State)


class Body(msgspec.Struct):
    """What rules ask of an activity."""

    type: str
    occurred_at: Instant
    data: dict[str, Any]


_BODY = msgspec.json.Decoder(Body)
_GRANTED = msgspec.json.Decoder(Kept)


class PostgresStore:
    """The tables of scoring."""

    async def states(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, State]:
        """The states of those of these leads that have one."""
        return {row[0]: decode_state(row[1]) for row in await connection.fetch(_STATES, lead_ids)}

    async def done(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, list[Done]]:
        """All that these leads did, in the order of their histories."""
        found: dict[UUID, list[Done]] = {lead_id: [] for lead_id in lead_ids}
        for lead_id, *row in await connection.fetch(_DONE, lead_ids):
            found[lead_id].append(done_from(*row))
        return found

    async def past(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, Past]:
        """All that these leads did, and what each version granted for it: slow, and rarely asked for."""
        grants: dict[UUID, dict[int, list[tuple[str, int, int]]]] = {lead_id: {} for lead_id in lead_ids}
        for lead_id, accord, rule, points, occurred_at in await connection.fetch(_GRANTS, lead_ids):
            grants[lead_id].setdefault(accord, []).append((rule, instant(occurred_at), points))
        done = await self.done(connection, lead_ids)
        return {lead_id: Past(done[lead_id], grants[lead_id]) for lead_id in lead_ids}

    def decode(self, texts: Mapping[UUID, str]) -> dict[UUID, State]:
        """States that `save` gave as texts."""
        return {lead_id: decode_state(text) for lead_id, text in texts.items()}

    def save(self, batch: Batch, partition: int) -> tuple[list[Write], dict[UUID, str]]:
        """What writes the batch, and its states as they are written. Refused with AlreadyApplied when the history has
        some of these events."""
        history = _LINES.of(batch.history)
        rows = _state_rows(batch.states, partition)
        states = _LEADS.of(rows)

        async def explain(connection: Any) -> Exception:
            return AlreadyApplied([row[0] for row in await connection.fetch(_APPLIED, *history[:2])])

        saved = Write(_SAVE, (*history, *states), _KEPT, len(batch.history), explain)
        writes = [saved, keep_ledger(batch.regranted)] if batch.regranted else [saved]
        return writes, {row[0]: row[-1] for row in rows}


def keep_ledger(lines: Sequence[LedgerLine]) -> Write:
    """What was granted after activities were applied."""
    return Write(_KEEP_LEDGER, columns(lines))


def done_from(event_id: UUID, received_at: datetime, body: bytes) -> Done:
    """An activity as it stands in the history."""
    activity, received = _BODY.decode(body), instant(received_at)
    return Done(event_id, activity.type, min(instant(activity.occurred_at), received), received, activity.data)


def _state_rows(states: dict[UUID, State], partition: int) -> list[tuple[Any, ...]]:
    # In key order, so that no two writers wait for each other.
    ordered = sorted(states.items(), key=lambda item: item[0].int)
    return [state_row(lead_id, state, partition) for lead_id, state in ordered]


def state_row(lead_id: UUID, state: State, partition: int) -> tuple[Any, ...]:
    """The state as it stands in the table: a value for each of STATE_COLUMNS."""
    return lead_id, partition, state.accord, state.engagement, state.fit, state.grade, encode_state(state)


def encode_state(state: State) -> str:
    """The state as JSON text, a list in the order of its fields; the published view reads some of them."""
    return encode(state).decode()


def decode_state(text: str) -> State:
    """The state that was encoded, to the last digit."""
    return _STATE.decode(text)


def decode_granted(text: str) -> Kept:
    """What the line of an activity says that it was granted. Raises msgspec.DecodeError if it says something else."""
    return _GRANTED.decode(text)


async def history_of(connection: Any, lead_id: UUID) -> list[HistoryLine]:
    """One lead's whole history in its order: what a replay folds."""
    return [HistoryLine(*row) for row in await connection.fetch(_HISTORY, lead_id)]
