"""The tables of schema `delivery`, and the subscriptions that api publishes."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog
from pydantic_core import from_json

from services.delivery.model.attempts import ORDERED_TRIES, Try, Verdict
from services.delivery.model.messages import Subscription
from shared.agreement.condition_parsing import InvalidCondition, parse_condition
from shared.agreement.conditions import compile_condition
from shared.db.statement import Write
from shared.errors import AlreadyApplied

log = structlog.get_logger()

Connection = Any  # asyncpg ships no types

SUBSCRIPTIONS: Final = """
SELECT subscription_id, url, types, condition::text, secret, state = 'active' AND NOT EXISTS (
    SELECT FROM delivery.disabled_subscriptions d WHERE d.subscription_id = s.subscription_id)
FROM api.published_subscriptions s ORDER BY subscription_id"""

APPEND_EVENTS: Final = """appended AS (
INSERT INTO delivery.events (lead_id, event_id, type, received_at, body)
SELECT e.lead_id, e.event_id, e.type, e.received_at, e.body::json
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[]) WITH ORDINALITY
    AS e(lead_id, event_id, type, received_at, body, place)
ORDER BY e.place
ON CONFLICT (lead_id, event_id) DO NOTHING RETURNING 1)"""
APPENDED: Final = "SELECT count(*) FROM appended"
APPLIED: Final = """
SELECT event_id FROM unnest($1::uuid[], $2::uuid[]) AS sent (lead_id, event_id)
JOIN delivery.events USING (lead_id, event_id)"""

LAST_OF_TYPE: Final = """
SELECT DISTINCT ON (lead_id) lead_id, (body -> 'data')::text FROM delivery.events
WHERE lead_id = ANY($1::uuid[]) AND type = $2 ORDER BY lead_id, number DESC"""

ADD_DELIVERIES: Final = """added AS (
INSERT INTO delivery.deliveries (lead_id, delivery_id, subscription_id, event_id, type, received_at, next_attempt_at)
SELECT d.lead_id, d.delivery_id, d.subscription_id, d.event_id, d.type, d.received_at, d.received_at
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[]) WITH ORDINALITY
    AS d(lead_id, delivery_id, subscription_id, event_id, type, received_at, place)
ORDER BY d.place)"""

# Each subscription gets as much as it has room for, so a slow one can't take another's place. What is claimed counts
# as an earlier pending delivery of its lead, so the order holds in flight too.
CLAIM: Final = f"""
WITH due AS (
    SELECT d.lead_id, d.delivery_id FROM unnest($1::uuid[], $2::integer[]) AS room(subscription_id, free)
    CROSS JOIN LATERAL (
        SELECT lead_id, delivery_id FROM delivery.deliveries p
        WHERE p.subscription_id = room.subscription_id AND p.state = 'pending' AND p.next_attempt_at <= $3
            AND (p.claimed_until IS NULL OR p.claimed_until <= $3)
            AND NOT EXISTS (SELECT FROM delivery.deliveries earlier
                WHERE earlier.subscription_id = p.subscription_id AND earlier.lead_id = p.lead_id
                    AND earlier.state = 'pending' AND earlier.number < p.number AND earlier.attempts < {ORDERED_TRIES})
        ORDER BY p.next_attempt_at, p.number LIMIT room.free FOR UPDATE SKIP LOCKED) AS d)
UPDATE delivery.deliveries c SET claimed_until = $4
FROM due JOIN delivery.deliveries o USING (lead_id, delivery_id) JOIN delivery.events e USING (lead_id, event_id)
WHERE c.lead_id = due.lead_id AND c.delivery_id = due.delivery_id
RETURNING c.lead_id, c.delivery_id, c.subscription_id, c.attempts, c.received_at, e.body::text,
    e.body ->> 'traceparent', c.number"""

RECORD: Final = """
UPDATE delivery.deliveries SET state = $3, attempts = $4, next_attempt_at = $5, claimed_until = NULL, status = $6,
    outcome = $7, latency_seconds = $8, delivered_at = CASE WHEN $3 = 'delivered' THEN $9::timestamptz END
WHERE lead_id = $1 AND delivery_id = $2 AND state = 'pending' AND attempts = $4 - 1"""
ADD_ATTEMPT: Final = """
INSERT INTO delivery.attempts (lead_id, delivery_id, attempt, started_at, outcome, status, latency_seconds, answer)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""
DISABLE: Final = """
INSERT INTO delivery.disabled_subscriptions (subscription_id, disabled_at, why) VALUES ($1, $2, $3)
ON CONFLICT (subscription_id) DO NOTHING"""
PENDING: Final = "SELECT count(*) FROM delivery.deliveries WHERE state = 'pending'"

EventRow = tuple[UUID, UUID, str, datetime, str]
DeliveryRow = tuple[UUID, UUID, UUID, UUID, str, datetime]


class Claimed(NamedTuple):
    """One delivery that this process is to make."""

    lead_id: UUID
    delivery_id: UUID
    subscription_id: UUID
    attempts: int
    received_at: datetime
    body: str
    traceparent: str | None


class SubscriptionBook:
    """The subscriptions as the last read found them; conditions are compiled only when something changed."""

    def __init__(self) -> None:
        self.all: tuple[Subscription, ...] = ()
        self._rows: list[tuple[Any, ...]] = []

    async def refresh(self, connection: Connection) -> tuple[Subscription, ...]:
        rows = [tuple(row) for row in await connection.fetch(SUBSCRIPTIONS)]
        if rows != self._rows:
            self.all, self._rows = tuple(_subscription(row) for row in rows), rows
        return self.all


def _subscription(row: tuple[Any, ...]) -> Subscription:
    subscription_id, url, types, condition, secret, is_active = row
    matches = None
    try:
        matches = None if condition is None else compile_condition(parse_condition(from_json(condition)))
    except InvalidCondition:
        # api refuses such a condition; one that got past it must not make every event poison.
        log.error("subscription_condition_invalid", subscription_id=str(subscription_id))
        is_active = False
    return Subscription(subscription_id, url, tuple(types), matches, tuple(secret.split()), is_active)


def append_events(rows: Sequence[EventRow]) -> Write:
    """Adds events to the history. Refused with AlreadyApplied when some stood there before."""
    columns = list(zip(*rows, strict=True))

    async def explain(connection: Connection) -> Exception:
        return AlreadyApplied([row[0] for row in await connection.fetch(APPLIED, *columns[:2])])

    return Write(APPEND_EVENTS, columns, APPENDED, len(rows), explain)


async def last_of_type(connection: Connection, event_type: str, leads: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """The data of each lead's last event of this type."""
    rows = await connection.fetch(LAST_OF_TYPE, sorted(leads), event_type)
    return {lead_id: from_json(data) for lead_id, data in rows}


def add_deliveries(rows: Sequence[DeliveryRow]) -> list[Write]:
    return [Write(ADD_DELIVERIES, list(zip(*rows, strict=True)))] if rows else []


async def claim(pool: Connection, room: dict[UUID, int], *, now: datetime, lease: timedelta) -> list[Claimed]:
    """What is due, oldest first, at most `room` of each subscription; nobody else gets it until the lease ends."""
    rows = await pool.fetch(CLAIM, list(room), list(room.values()), now, now + lease)
    return [Claimed(*row[:7]) for row in sorted(rows, key=lambda row: row["number"])]


async def record(pool: Connection, claimed: Claimed, tried: Try, verdict: Verdict, now: datetime) -> bool:
    """Stores one try and what becomes of its delivery; False if another process recorded this try already."""
    attempt = claimed.attempts + 1
    key = (claimed.lead_id, claimed.delivery_id)
    seen = (tried.status, str(tried.outcome), tried.latency_seconds)
    async with pool.acquire() as connection, connection.transaction():
        status = await connection.execute(
            RECORD, *key, str(verdict.state), attempt, verdict.next_attempt_at, *seen, now
        )
        if status != "UPDATE 1":
            return False
        await connection.execute(
            ADD_ATTEMPT, *key, attempt, tried.started_at, seen[1], seen[0], tried.latency_seconds, tried.answer
        )
        if verdict.disables_subscription:
            await connection.execute(DISABLE, claimed.subscription_id, now, str(tried.outcome))
    return True


async def pending(pool: Connection) -> int:
    count: int = await pool.fetchval(PENDING)
    return count
