"""What is due: claimed for a while, by this process alone, in the order of each lead and subscription."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.delivery.model.attempts import ORDERED_TRIES

Connection = Any  # asyncpg ships no types

# So many due rows are looked at for one that may be sent; what waits for an earlier one is put off to that one's time.
_LOOKED_AT_PER_ROOM: Final = 4
_LOOKED_AT_MIN: Final = 64

# A claim that a crash of Postgres forgets is made again, so nobody waits for the disk.
# Each subscription gets as much as it has room for, so a slow one can't take another's place. What is claimed counts
# as an earlier pending delivery of its lead, so the order holds in flight too.
# Rows that are known by their key are asked for their state through coalesce, so that no index of the pending ones will
# do: what Postgres knows of a queue is always old, and when it takes it for empty it reads all of it for each claim.
CLAIM: Final = f"""
WITH lax AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
looked_at AS MATERIALIZED (
    SELECT p.*, room.free FROM lax CROSS JOIN unnest($1::uuid[], $2::integer[]) AS room(subscription_id, free)
    CROSS JOIN LATERAL (
        SELECT lead_id, delivery_id, subscription_id, number, next_attempt_at FROM delivery.deliveries d
        WHERE d.subscription_id = room.subscription_id AND d.state = 'pending' AND d.next_attempt_at <= $3
            AND (d.claimed_until IS NULL OR d.claimed_until <= $3)
        ORDER BY d.next_attempt_at, d.number
        LIMIT greatest(room.free * {_LOOKED_AT_PER_ROOM}, {_LOOKED_AT_MIN})) AS p),
judged AS MATERIALIZED (
    SELECT l.*, earlier.next_attempt_at AS waits_until, earlier.number IS NOT NULL AS waits FROM looked_at l
    LEFT JOIN LATERAL (
        SELECT e.number, e.next_attempt_at FROM delivery.deliveries e
        WHERE e.subscription_id = l.subscription_id AND e.lead_id = l.lead_id AND e.state = 'pending'
            AND e.number < l.number AND e.attempts < {ORDERED_TRIES}
        ORDER BY e.number LIMIT 1) AS earlier ON true),
put_off AS (
    UPDATE delivery.deliveries d SET next_attempt_at = j.waits_until FROM judged j
    WHERE j.waits AND j.waits_until > $3 AND d.lead_id = j.lead_id AND d.delivery_id = j.delivery_id
        AND coalesce(d.state, '') = 'pending' AND d.next_attempt_at <= $3),
chosen AS MATERIALIZED (
    SELECT lead_id, delivery_id FROM (
        SELECT *, row_number() OVER (PARTITION BY subscription_id ORDER BY next_attempt_at, number) AS place
        FROM judged WHERE NOT waits) AS ready WHERE place <= free),
locked AS MATERIALIZED (
    SELECT d.lead_id, d.delivery_id FROM delivery.deliveries d JOIN chosen USING (lead_id, delivery_id)
    WHERE coalesce(d.state, '') = 'pending' AND d.next_attempt_at <= $3
        AND (d.claimed_until IS NULL OR d.claimed_until <= $3)
    FOR UPDATE OF d SKIP LOCKED)
UPDATE delivery.deliveries c SET claimed_until = $4
FROM locked JOIN delivery.deliveries o USING (lead_id, delivery_id)
LEFT JOIN delivery.events e ON o.body IS NULL AND e.lead_id = o.lead_id AND e.event_id = o.event_id
WHERE c.lead_id = locked.lead_id AND c.delivery_id = locked.delivery_id
RETURNING c.lead_id, c.delivery_id, c.subscription_id, c.attempts, c.received_at, coalesce(o.body, e.body)::text,
    c.claimed_until, c.type, c.number"""

RELEASE: Final = """
UPDATE delivery.deliveries d SET claimed_until = NULL FROM unnest($1::uuid[], $2::uuid[]) AS r(lead_id, delivery_id)
WHERE d.lead_id = r.lead_id AND d.delivery_id = r.delivery_id AND d.state = 'pending' AND d.claimed_until = $3"""

PENDING: Final = "SELECT count(*) FROM delivery.deliveries WHERE state = 'pending'"


class Claimed(NamedTuple):
    """One delivery that this process is to make before `claimed_until`."""

    lead_id: UUID
    delivery_id: UUID
    subscription_id: UUID
    attempts: int
    received_at: datetime
    body: str
    claimed_until: datetime
    type: str
    number: int
    traceparent: str | None = None


def claimed_of(row: Any) -> Claimed:
    """What was forgotten meanwhile has no body."""
    lead_id, delivery_id, subscription_id, attempts, received_at, body, *rest = row
    return Claimed(lead_id, delivery_id, subscription_id, attempts, received_at, body or "", *rest)


async def claim(pool: Connection, room: Mapping[UUID, int], *, now: datetime, lease: timedelta) -> list[Claimed]:
    """What is due, at most `room` of each subscription, in the order of the events; nobody else gets it until the lease
    ends."""
    rows = await pool.fetch(CLAIM, list(room), list(room.values()), now, now + lease)
    return [claimed_of(row) for row in sorted(rows, key=lambda row: row["number"])]


async def release(pool: Connection, claimed: Sequence[Claimed]) -> None:
    """Gives back what was not tried."""
    for until in {one.claimed_until for one in claimed}:
        ids = [(one.lead_id, one.delivery_id) for one in claimed if one.claimed_until == until]
        await pool.execute(RELEASE, *zip(*ids, strict=True), until)


async def pending(pool: Connection) -> int:
    count: int = await pool.fetchval(PENDING)
    return count
