"""What is due: claimed for a while, by this process alone, in the order of each lead and subscription."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.delivery.model.attempts import ORDERED_TRIES

Connection = Any  # asyncpg ships no types

# So many due rows are looked at for one that may be sent: the others wait for earlier ones of their leads.
_LOOKED_AT_PER_ROOM: Final = 4
_LOOKED_AT_MIN: Final = 64

_DUE: Final = f"""
SELECT d.ctid AS place, d.subscription_id, d.lead_id, d.number FROM delivery.deliveries d
WHERE d.subscription_id = room.subscription_id AND d.state = 'pending' AND d.next_attempt_at <= $3
    AND (d.claimed_until IS NULL OR d.claimed_until <= $3)
ORDER BY d.next_attempt_at, d.number LIMIT greatest(room.free * {_LOOKED_AT_PER_ROOM}, {_LOOKED_AT_MIN})"""
# What is claimed is pending still, so the order holds in flight too.
_EARLIER: Final = f"""
SELECT e.number, e.next_attempt_at FROM delivery.deliveries e
WHERE e.subscription_id = due.subscription_id AND e.lead_id = due.lead_id AND e.state = 'pending'
    AND e.number < due.number AND e.attempts < {ORDERED_TRIES}
ORDER BY e.number LIMIT 1"""
# Rows that are known by their place are asked for their state through coalesce, so that no index of the pending ones
# will do: what Postgres knows of a queue is always old; when it takes it for empty, it reads all of it for each claim.
_IS_DUE_STILL: Final = "coalesce(d.state, '') = 'pending' AND d.next_attempt_at <= $3"

# A claim that a crash of Postgres forgets is made again, so nobody waits for the disk.
# Each subscription gets as much as it has room for, so a slow one can't take another's place.
CLAIM: Final = f"""
WITH lax AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
chosen AS MATERIALIZED (
    SELECT ready.place FROM lax CROSS JOIN unnest($1::uuid[], $2::integer[]) AS room(subscription_id, free)
    CROSS JOIN LATERAL (
        SELECT due.place FROM ({_DUE}) AS due LEFT JOIN LATERAL ({_EARLIER}) AS earlier ON true
        WHERE earlier.number IS NULL LIMIT room.free) AS ready),
locked AS MATERIALIZED (
    SELECT d.ctid AS place, d.lead_id, d.event_id, d.body
    FROM chosen JOIN delivery.deliveries d ON d.ctid = chosen.place
    WHERE {_IS_DUE_STILL} AND (d.claimed_until IS NULL OR d.claimed_until <= $3)
    FOR UPDATE OF d SKIP LOCKED)
UPDATE delivery.deliveries c SET claimed_until = $4
FROM locked LEFT JOIN delivery.events e
    ON locked.body IS NULL AND e.lead_id = locked.lead_id AND e.event_id = locked.event_id
WHERE c.ctid = locked.place
RETURNING c.lead_id, c.delivery_id, c.subscription_id, c.attempts, c.received_at, coalesce(locked.body, e.body)::text,
    c.type, c.number"""

# What waits for an earlier one that is to be tried later would be looked at again and again until then.
PUT_OFF: Final = f"""
UPDATE delivery.deliveries d SET next_attempt_at = waiting.until
FROM (SELECT due.place, earlier.next_attempt_at AS until
    FROM unnest($1::uuid[], $2::integer[]) AS room(subscription_id, free)
    CROSS JOIN LATERAL ({_DUE}) AS due CROSS JOIN LATERAL ({_EARLIER}) AS earlier
    WHERE earlier.next_attempt_at > $3) AS waiting
WHERE d.ctid = waiting.place AND {_IS_DUE_STILL}"""

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
    type: str
    number: int
    claimed_until: datetime
    traceparent: str | None = None


def claimed_of(row: Any, until: datetime) -> Claimed:
    """What was forgotten meanwhile has no body."""
    lead_id, delivery_id, subscription_id, attempts, received_at, body, type_, number = row
    return Claimed(lead_id, delivery_id, subscription_id, attempts, received_at, body or "", type_, number, until)


async def claim(pool: Connection, room: Mapping[UUID, int], *, now: datetime, lease: timedelta) -> list[Claimed]:
    """What is due, at most `room` of each subscription, in the order of the events; nobody else gets it until the lease
    ends."""
    until = now + lease
    rows = await pool.fetch(CLAIM, list(room), list(room.values()), now, until)
    return sorted((claimed_of(row, until) for row in rows), key=attrgetter("number"))


async def put_off(pool: Connection, room: Mapping[UUID, int], *, now: datetime) -> None:
    """Of what a claim of as much would look at: what waits for a retry is due when that is."""
    await pool.execute(PUT_OFF, list(room), list(room.values()), now)


async def release(pool: Connection, claimed: Sequence[Claimed]) -> None:
    """Gives back what was not tried."""
    for until in {one.claimed_until for one in claimed}:
        ids = [(one.lead_id, one.delivery_id) for one in claimed if one.claimed_until == until]
        await pool.execute(RELEASE, *zip(*ids, strict=True), until)


async def pending(pool: Connection) -> int:
    count: int = await pool.fetchval(PENDING)
    return count
