"""What one step keeps: the events as they came, and a delivery for each subscription that is told."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json

from shared.db.statement import Write
from shared.errors import AlreadyApplied

Connection = Any  # asyncpg ships no types

APPEND_EVENTS: Final = """appended AS (
INSERT INTO delivery.events (lead_id, event_id, type, received_at, body, partition)
SELECT e.lead_id, e.event_id, e.type, e.received_at, e.body::json, $6::smallint
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) WITH ORDINALITY
    AS e(lead_id, event_id, type, received_at, body, place)
ORDER BY e.place
ON CONFLICT (lead_id, event_id) DO NOTHING RETURNING lead_id, event_id, number, type, received_at)"""
APPENDED: Final = "SELECT count(*) FROM appended"
APPLIED: Final = """
SELECT event_id FROM unnest($1::uuid[], $2::uuid[]) AS sent (lead_id, event_id)
JOIN delivery.events USING (lead_id, event_id)"""

# A change of a lead's last stage is kept longer than other bodies are (trim.py).
LAST_OF_TYPE: Final = """
SELECT DISTINCT ON (lead_id) lead_id, (body -> 'data')::text FROM delivery.events
WHERE lead_id = ANY($1::uuid[]) AND type = $2 AND body IS NOT NULL ORDER BY lead_id, number DESC"""

# In one statement with APPEND_EVENTS: a delivery has its event's number.
ADD_DELIVERIES: Final = """added AS (
INSERT INTO delivery.deliveries
    (lead_id, delivery_id, subscription_id, number, event_id, type, received_at, next_attempt_at)
SELECT d.lead_id, d.delivery_id, d.subscription_id, a.number, d.event_id, a.type, a.received_at, a.received_at
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) AS d(lead_id, delivery_id, subscription_id, event_id)
JOIN appended a USING (lead_id, event_id))"""

EventRow = tuple[UUID, UUID, str, datetime, str]
DeliveryRow = tuple[UUID, UUID, UUID, UUID]


def append_events(rows: Sequence[EventRow], partition: int) -> Write:
    """Adds events to the history. Refused with AlreadyApplied when some stood there before."""
    columns = list(zip(*rows, strict=True))

    async def explain(connection: Connection) -> Exception:
        return AlreadyApplied([row[0] for row in await connection.fetch(APPLIED, *columns[:2])])

    return Write(APPEND_EVENTS, (*columns, partition), APPENDED, len(rows), explain)


async def last_of_type(connection: Connection, event_type: str, leads: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """The data of each lead's last event of this type."""
    rows = await connection.fetch(LAST_OF_TYPE, sorted(leads), event_type)
    return {lead_id: from_json(data) for lead_id, data in rows}


def add_deliveries(rows: Sequence[DeliveryRow]) -> list[Write]:
    """Of events that the same statement appends."""
    return [Write(ADD_DELIVERIES, list(zip(*rows, strict=True)))] if rows else []
