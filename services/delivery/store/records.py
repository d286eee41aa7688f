"""What came of tries: many in one statement, each once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.delivery.model.attempts import Try, Verdict
from services.delivery.store.claims import Claimed
from shared.db.columns import Columns

Connection = Any  # asyncpg ships no types

# By the key, and not by an index of what is pending, which may be long (hence the odd comparison).
# A try is recorded if nobody recorded this one before: of two that were made after a lease had ended, one counts.
_TRIES: Final = Columns(
    *("uuid", "uuid", "integer", "text", "timestamptz"),
    *("smallint", "text", "double precision", "timestamptz", "bytea"),
)
RECORD: Final = f"""
WITH r AS MATERIALIZED (
    SELECT * FROM unnest({", ".join(_TRIES.arrays())})
    AS r(lead_id, delivery_id, attempts, state, next_attempt_at, status, outcome, latency, started_at, answer)),
done AS (
    UPDATE delivery.deliveries d SET state = r.state, attempts = r.attempts, next_attempt_at = r.next_attempt_at,
        claimed_until = NULL, status = r.status, outcome = r.outcome, latency_seconds = r.latency,
        delivered_at = CASE WHEN r.state = 'delivered' THEN r.started_at + make_interval(secs => r.latency) END
    FROM r WHERE d.lead_id = r.lead_id AND d.delivery_id = r.delivery_id AND d.state || '' = 'pending'
        AND d.attempts = r.attempts - 1
    RETURNING d.lead_id, d.delivery_id, d.attempts_before, d.state),
logged AS (
    INSERT INTO delivery.attempts (lead_id, delivery_id, attempt, started_at, outcome, status, latency_seconds, answer)
    SELECT r.lead_id, r.delivery_id, done.attempts_before + r.attempts, r.started_at, r.outcome, r.status, r.latency,
        r.answer
    FROM r JOIN done USING (lead_id, delivery_id))
SELECT delivery_id FROM done WHERE state <> 'delivered'"""


class Tried(NamedTuple):
    """One try, made at its delivery, and what becomes of it."""

    claimed: Claimed
    tried: Try
    verdict: Verdict
    at: datetime


async def record(pool: Connection, tries: Sequence[Tried]) -> set[UUID]:
    """Stores the tries and what becomes of their deliveries. Returns those that were not delivered, where that was
    news."""
    rows = [
        (
            *(claimed.lead_id, claimed.delivery_id, claimed.attempts + 1),
            *(verdict.state, verdict.next_attempt_at, tried.status, tried.outcome, tried.latency_seconds),
            *(tried.started_at, tried.answer),
        )
        for claimed, tried, verdict, _ in tries
    ]
    return {row[0] for row in await pool.fetch(RECORD, *_TRIES.of(rows))}
