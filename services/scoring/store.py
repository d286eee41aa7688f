"""Reads and writes schema `scoring` a batch at a time, through the step's own connection."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from services.scoring.model import Batch, HistoryLine, LedgerLine, Older, State, instant
from shared.errors import AlreadyApplied
from shared.events.activity import Activity

_STATES = "SELECT lead_id, state FROM scoring.leads WHERE lead_id = ANY($1::uuid[])"

_SAVE_STATES = """
INSERT INTO scoring.leads (lead_id, engagement, fit, grade, state)
SELECT * FROM unnest($1::uuid[], $2::double precision[], $3::integer[], $4::text[], $5::text[])
ON CONFLICT (lead_id) DO UPDATE SET engagement = excluded.engagement, fit = excluded.fit, grade = excluded.grade,
    state = excluded.state
"""

_SAVE_HISTORY = """
INSERT INTO scoring.history (lead_id, event_id, number, kind, received_at, body)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::timestamptz[], $6::bytea[])
ON CONFLICT (lead_id, event_id) DO NOTHING
"""

# The numbers of this batch's own rows are not those of the rows that stand in its way.
_APPLIED = """
SELECT history.event_id
FROM unnest($1::uuid[], $2::uuid[], $3::integer[]) AS sent (lead_id, event_id, number)
JOIN scoring.history USING (lead_id, event_id)
WHERE history.number <> sent.number
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
            found[lead_id].remember(Activity.model_validate_json(body), received_at, ())
        return found

    async def save(self, connection: Any, batch: Batch) -> None:
        """Raises AlreadyApplied when the history has some of these events."""
        columns = _columns(batch.history)
        saved = await connection.execute(_SAVE_HISTORY, *columns)
        if int(saved.rpartition(" ")[2]) != len(batch.history):
            raise AlreadyApplied([row[0] for row in await connection.fetch(_APPLIED, *columns[:3])])
        if batch.ledger:
            # COPY binds a row in half the time of an array's elements, and the ledger has no key to conflict with.
            await connection.copy_records_to_table(
                "grants", schema_name="scoring", columns=LedgerLine._fields, records=batch.ledger
            )
        await connection.execute(_SAVE_STATES, *_columns(_state_rows(batch.states)))


def _columns(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True))


def _state_rows(states: dict[UUID, State]) -> list[tuple[Any, ...]]:
    # In key order, so that no two writers wait for each other.
    return [
        (lead_id, state.engagement, state.fit, state.grade, encode_state(state))
        for lead_id, state in sorted(states.items(), key=lambda item: item[0].int)
    ]


def encode_state(state: State) -> str:
    """The state as JSON text; the published view reads some of its fields."""
    return to_json(state._asdict()).decode()


def decode_state(text: str) -> State:
    """The state that was encoded, to the last digit."""
    return State(**from_json(text))


async def history_of(connection: Any, lead_id: UUID) -> list[HistoryLine]:
    """One lead's whole history in its order: what a replay folds."""
    return [HistoryLine(*row) for row in await connection.fetch(_HISTORY, lead_id)]
