"""Grouped formats: everything that is due for one subscription goes into one message, made by one process at a time."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from services.delivery.model.subscriptions import ALERTS, CORRECTED
from services.delivery.store.claims import Claimed, claimed_of

Connection = Any  # asyncpg ships no types

# `next_message_at` is the turn: whoever moves it makes the message, and nobody else until then.
TURN: Final = """
INSERT INTO delivery.endpoints AS e (subscription_id, enabling, next_message_at)
SELECT $1, $2, $4 WHERE EXISTS (SELECT FROM delivery.deliveries d
    WHERE d.subscription_id = $1 AND d.state = 'pending' AND d.next_attempt_at <= $3
        AND (d.claimed_until IS NULL OR d.claimed_until <= $3))
ON CONFLICT (subscription_id) DO UPDATE SET next_message_at = $4
WHERE e.next_message_at IS NULL OR e.next_message_at <= $3 RETURNING 1"""

# What is not due yet, because it failed before, goes along: otherwise an alert could begin after its end was told.
CLAIM: Final = """
WITH due AS (
    SELECT d.lead_id, d.delivery_id FROM delivery.deliveries d
    WHERE d.subscription_id = $1 AND d.state = 'pending' AND (d.claimed_until IS NULL OR d.claimed_until <= $3)
    ORDER BY d.number LIMIT $2 FOR UPDATE SKIP LOCKED)
UPDATE delivery.deliveries c SET claimed_until = $4
FROM due JOIN delivery.deliveries o USING (lead_id, delivery_id)
LEFT JOIN delivery.events e ON o.body IS NULL AND e.lead_id = o.lead_id AND e.event_id = o.event_id
WHERE c.lead_id = due.lead_id AND c.delivery_id = due.delivery_id
RETURNING c.lead_id, c.delivery_id, c.subscription_id, c.attempts, c.received_at, coalesce(o.body, e.body)::text,
    c.type, c.number, c.next_attempt_at <= $3"""

NEXT: Final = "UPDATE delivery.endpoints SET next_message_at = $2 WHERE subscription_id = $1"

BREACHES: Final = """
SELECT body::text FROM delivery.events
WHERE lead_id = ANY($1::uuid[]) AND type = ANY($2::text[]) AND body IS NOT NULL ORDER BY number"""


async def take_turn(pool: Connection, subscription: tuple[UUID, int], *, now: datetime, lease: timedelta) -> bool:
    """Whether something is due for this subscription (id, enabling) and it is this process that tells it."""
    return await pool.fetchrow(TURN, *subscription, now, now + lease) is not None


async def claim(
    pool: Connection, subscription_id: UUID, most: int, *, now: datetime, lease: timedelta
) -> list[tuple[Claimed, bool]]:
    """Everything pending, in the order of the events, and whether it is due."""
    until = now + lease
    rows = await pool.fetch(CLAIM, subscription_id, most, now, until)
    return [(claimed_of(claimed, until), is_due) for *claimed, is_due in sorted(rows, key=lambda row: row["number"])]


async def set_next(pool: Connection, subscription_id: UUID, at: datetime) -> None:
    """No message before this time."""
    await pool.execute(NEXT, subscription_id, at)


async def breaches(pool: Connection, leads: Collection[UUID]) -> list[str]:
    """The bodies of the events that may have begun alerts about these leads (or promises)."""
    return [row[0] for row in await pool.fetch(BREACHES, list(leads), [*ALERTS, CORRECTED])]
