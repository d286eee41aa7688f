"""Reads and writes schema `scoring` a batch at a time, through the step's own connection."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from services.scoring.model import Batch, HistoryLine, Older, State, Window
from services.scoring.model.state import instant
from shared.agreement.decay import RuleTotal
from shared.errors import AlreadyApplied
from shared.events.activity import Activity

_STATES = "SELECT lead_id, state FROM scoring.leads WHERE lead_id = ANY($1::uuid[])"

_SAVE_STATES = """
INSERT INTO scoring.leads (lead_id, version, as_of, engagement, fit, grade, state)
SELECT * FROM unnest($1::uuid[], $2::integer[], $3::timestamptz[], $4::double precision[], $5::integer[], $6::text[],
    $7::text[])
ON CONFLICT (lead_id) DO UPDATE SET version = excluded.version, as_of = excluded.as_of,
    engagement = excluded.engagement, fit = excluded.fit, grade = excluded.grade, state = excluded.state
"""

_SAVE_HISTORY = """
INSERT INTO scoring.history (lead_id, event_id, number, kind, received_at, body)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::timestamptz[], $6::bytea[])
ON CONFLICT (lead_id, event_id) DO NOTHING
"""

_SAVE_LEDGER = """
INSERT INTO scoring.grants (lead_id, event_id, occurred_at, received_at, points, withheld, accord, type, rule, why)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::integer[],
    $7::integer[], $8::text[], $9::text[], $10::text[])
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
            await connection.execute(_SAVE_LEDGER, *_columns(batch.ledger))
        await connection.execute(_SAVE_STATES, *_columns(_state_rows(batch.states)))


def _columns(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True))


def _state_rows(states: dict[UUID, State]) -> list[tuple[Any, ...]]:
    # In key order, so that no two writers wait for each other.
    return [
        (lead_id, state.version, state.as_of, state.engagement, state.fit, state.grade, encode_state(state))
        for lead_id, state in sorted(states.items(), key=lambda item: item[0].int)
    ]


def encode_state(state: State) -> str:
    """The state as JSON text; the published view reads some of its fields."""
    fields = state._asdict()
    fields["totals"] = {rule: (total.worth, total.at, total.count) for rule, total in state.totals.items()}
    return to_json(fields).decode()


def decode_state(text: str) -> State:
    """The state that was encoded, to the last digit."""
    fields = from_json(text)
    fields["as_of"] = datetime.fromisoformat(fields["as_of"])
    fields["totals"] = {
        rule: RuleTotal(worth, datetime.fromisoformat(at), count)
        for rule, (worth, at, count) in fields["totals"].items()
    }
    fields["windows"] = _windows(fields["windows"])
    fields["preceding"] = _windows(fields["preceding"])
    fields["fit_rules"] = tuple([(rule, points) for rule, points in fields["fit_rules"]])
    return State(**fields)


def _windows(fields: dict[str, Any]) -> dict[str, Window]:
    return {
        rule: Window(forgotten, tuple([(at, points) for at, points in kept]))
        for rule, (forgotten, kept) in fields.items()
    }


async def history_of(connection: Any, lead_id: UUID) -> list[HistoryLine]:
    """One lead's whole history in its order: what a replay folds."""
    return [HistoryLine(*row) for row in await connection.fetch(_HISTORY, lead_id)]
