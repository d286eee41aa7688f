"""Forgetting: what events said after 30 days, and deliveries with their tries that are over by then. That an event was
told stays known for ever, and how each lead stands."""

from datetime import datetime
from typing import Any, Final

from shared.events.lifecycle import StageChanged

Connection = Any  # asyncpg ships no types

ROWS_PER_TRIM: Final = 2_000

# The last change of a lead's stage says how it stands, for conditions on events that don't.
FORGET: Final = """
WITH old AS MATERIALIZED (
    SELECT e.ctid AS place, e.partition, e.number FROM delivery.events e
    WHERE e.received_at < $1 AND e.body IS NOT NULL AND NOT (e.type = $3 AND NOT EXISTS (
            SELECT FROM delivery.events l WHERE l.lead_id = e.lead_id AND l.type = $3 AND l.number > e.number))
    LIMIT $2),
gone AS (UPDATE delivery.events e SET body = NULL FROM old WHERE e.ctid = old.place RETURNING e.partition, e.number),
moved AS (
    INSERT INTO delivery.horizons AS h (partition, forgotten_through)
    SELECT partition, max(number) FROM gone GROUP BY partition
    ON CONFLICT (partition) DO UPDATE SET forgotten_through = greatest(h.forgotten_through, EXCLUDED.forgotten_through))
SELECT count(*) FROM gone"""

GIVE_UP: Final = """
UPDATE delivery.deliveries SET state = 'dead', outcome = 'expired', next_attempt_at = NULL, claimed_until = NULL
WHERE ctid = ANY(ARRAY(SELECT ctid FROM delivery.deliveries
    WHERE received_at < $1 AND created_at < $1 AND state = 'pending' LIMIT $2))"""

# Of subscriptions that were deleted: nobody will ever be told.
DROP: Final = """
UPDATE delivery.deliveries SET state = 'dead', outcome = 'unsubscribed', next_attempt_at = NULL, claimed_until = NULL
WHERE ctid = ANY(ARRAY(SELECT ctid FROM delivery.deliveries d WHERE d.state = 'pending' AND NOT EXISTS (
    SELECT FROM api.published_subscriptions s WHERE s.subscription_id = d.subscription_id) LIMIT $1))"""

DELETE: Final = """
WITH old AS MATERIALIZED (
    SELECT lead_id, delivery_id FROM delivery.deliveries
    WHERE received_at < $1 AND created_at < $1 AND state <> 'pending' LIMIT $2),
tries AS (DELETE FROM delivery.attempts a USING old WHERE a.lead_id = old.lead_id AND a.delivery_id = old.delivery_id),
gone AS (
    DELETE FROM delivery.deliveries d USING old WHERE d.lead_id = old.lead_id AND d.delivery_id = old.delivery_id
    RETURNING 1)
SELECT count(*) FROM gone"""


async def trim(pool: Connection, before: datetime) -> tuple[int, int, int]:
    """One bounded pass: how many bodies, how many deliveries given up, how many forgotten."""
    await pool.execute(DROP, ROWS_PER_TRIM)
    given_up = int((await pool.execute(GIVE_UP, before, ROWS_PER_TRIM)).split()[-1])
    deliveries = await pool.fetchval(DELETE, before, ROWS_PER_TRIM)
    # What is pending needs its body until it is given up.
    is_over = given_up < ROWS_PER_TRIM
    bodies = await pool.fetchval(FORGET, before, ROWS_PER_TRIM, StageChanged.TYPE) if is_over else 0
    return bodies, given_up, deliveries
