"""What people ask for: to be told again what was told (a replay), or that an endpoint is tried (a test). api publishes
the requests; here stands how far each is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from pydantic_core import from_json

from shared.events.lifecycle import StageChanged

Connection = Any  # asyncpg ships no types

OPEN: Final = """
SELECT r.request_id, r.subscription_id, r.kind, r.since, r.until, r.event_ids, r.created_at
FROM api.published_delivery_requests r LEFT JOIN delivery.requests d USING (request_id)
WHERE r.created_at > $1 AND d.finished_at IS NULL ORDER BY r.created_at, r.request_id LIMIT 100"""
BEGIN: Final = "INSERT INTO delivery.requests (request_id) VALUES ($1) ON CONFLICT (request_id) DO NOTHING"
LOCK: Final = """SELECT partition, number FROM delivery.requests
WHERE request_id = $1 AND finished_at IS NULL FOR UPDATE SKIP LOCKED"""
MOVE: Final = """
UPDATE delivery.requests SET partition = $2, number = $3, deliveries = deliveries + $4, finished_at = $5
WHERE request_id = $1"""

# The first number that may lie in the range: events before it need not be looked at, whatever their partition.
FIRST: Final = "SELECT min(number) FROM delivery.events WHERE received_at >= $1 AND received_at < $2"
IN_RANGE: Final = """
SELECT e.partition, e.number, e.lead_id, e.event_id, e.type, e.received_at, (e.body -> 'data')::text AS data, (
    SELECT (s.body -> 'data')::text FROM delivery.events s
    WHERE $6 AND s.lead_id = e.lead_id AND s.type = $7 AND s.number <= e.number AND s.body IS NOT NULL
    ORDER BY s.number DESC LIMIT 1) AS standing
FROM delivery.events e
WHERE (e.partition, e.number) > ($1::smallint, $2::bigint) AND e.number >= $8
    AND e.received_at >= $3 AND e.received_at < $4 AND e.body IS NOT NULL
ORDER BY e.partition, e.number LIMIT $5"""
BY_ID: Final = """
SELECT e.partition, e.number, e.lead_id, e.event_id, e.type, e.received_at, (e.body -> 'data')::text AS data,
    NULL AS standing
FROM delivery.events e WHERE e.event_id = ANY($1::uuid[]) AND e.body IS NOT NULL ORDER BY e.partition, e.number"""

# What is pending goes on as it is; what was told or given up is told again, with its former tries in the log.
AGAIN: Final = """
INSERT INTO delivery.deliveries AS d
    (lead_id, delivery_id, subscription_id, number, event_id, type, received_at, next_attempt_at)
SELECT r.*, $7 FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $8::timestamptz[])
    AS r(lead_id, delivery_id, subscription_id, number, event_id, type, received_at)
ON CONFLICT (lead_id, delivery_id) DO UPDATE SET state = 'pending', attempts_before = d.attempts_before + d.attempts,
    attempts = 0, next_attempt_at = $7, claimed_until = NULL, delivered_at = NULL
WHERE d.state <> 'pending'"""
TEST: Final = """
INSERT INTO delivery.deliveries (lead_id, delivery_id, subscription_id, number, event_id, type, received_at,
    next_attempt_at, body)
SELECT $1, $2, $1, nextval(pg_get_serial_sequence('delivery.events', 'number')), $3, $4, $5, $5, $6::text::json
ON CONFLICT (lead_id, delivery_id) DO NOTHING"""


class Request(NamedTuple):
    """One request, as api publishes it. A replay without times and ids is of everything kept."""

    request_id: UUID
    subscription_id: UUID
    kind: str
    since: datetime | None
    until: datetime | None
    event_ids: list[UUID] | None
    created_at: datetime


class Kept(NamedTuple):
    """One event that was kept. `standing` is what its lead's last change of stage said before it."""

    partition: int
    number: int
    lead_id: UUID
    event_id: UUID
    type: str
    received_at: datetime
    data: dict[str, Any]
    standing: dict[str, Any] | None


async def open_requests(pool: Connection, since: datetime) -> list[Request]:
    """Those that are not finished, oldest first."""
    return [Request(*row) for row in await pool.fetch(OPEN, since)]


async def lock(connection: Connection, request_id: UUID) -> tuple[int, int] | None:
    """How far the request is (partition, number), for this transaction alone; None if another has it or it is done."""
    await connection.execute(BEGIN, request_id)
    row = await connection.fetchrow(LOCK, request_id)
    return None if row is None else (row[0], row[1])


async def move(
    connection: Connection, request_id: UUID, place: tuple[int, int], *, added: int, finished_at: datetime | None
) -> None:
    await connection.execute(MOVE, request_id, *place, added, finished_at)


async def first_number(connection: Connection, since: datetime, until: datetime) -> int | None:
    """The number of the first event in the range; None if there is none."""
    number: int | None = await connection.fetchval(FIRST, since, until)
    return number


async def in_range(
    connection: Connection, after: tuple[int, int], request: Request, *, first: int, limit: int, with_standing: bool
) -> list[Kept]:
    """Kept events of the request's range behind a place, in the order of partitions and numbers."""
    asked = (*after, request.since, request.until, limit, with_standing, StageChanged.TYPE, first)
    return [_kept(row) for row in await connection.fetch(IN_RANGE, *asked)]


async def by_id(connection: Connection, event_ids: Sequence[UUID]) -> list[Kept]:
    return [_kept(row) for row in await connection.fetch(BY_ID, list(event_ids))]


async def tell_again(
    connection: Connection, events: Sequence[tuple[Kept, UUID]], subscription_id: UUID, now: datetime
) -> None:
    """(event, delivery id): each gets a delivery, or its own is pending again."""
    rows = [
        (kept.lead_id, delivery_id, subscription_id, kept.number, kept.event_id, kept.type, kept.received_at)
        for kept, delivery_id in events
    ]
    *columns, received = zip(*rows, strict=True)
    await connection.execute(AGAIN, *columns, now, received)


async def add_test(
    connection: Connection, request: Request, *, delivery_id: UUID, type: str, body: str, now: datetime
) -> None:
    await connection.execute(TEST, request.subscription_id, delivery_id, request.request_id, type, now, body)


def _kept(row: Any) -> Kept:
    partition, number, lead_id, event_id, type_, received_at, data, standing = row
    before = None if standing is None else from_json(standing)
    return Kept(partition, number, lead_id, event_id, type_, received_at, from_json(data), before)
