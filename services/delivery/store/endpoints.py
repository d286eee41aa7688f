"""Whether an endpoint agreed to be told: one row per subscription, for the address that it had when it was asked."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.delivery.model.handshakes import Consent

Connection = Any  # asyncpg ships no types

BEGIN: Final = """
INSERT INTO delivery.endpoints AS e (subscription_id, enabling, asked_at) VALUES ($1, $2, $3)
ON CONFLICT (subscription_id) DO UPDATE SET asked_at = $3 WHERE e.asked_at IS NULL OR e.asked_at <= $4
RETURNING 1"""
NOTE: Final = """
UPDATE delivery.endpoints SET refusal = $3, agreed_url = CASE WHEN $3::text IS NULL THEN $2 ELSE agreed_url END,
    agreed_rate_per_second = CASE WHEN $3::text IS NULL THEN $4 ELSE agreed_rate_per_second END
WHERE subscription_id = $1"""


async def begin_asking(
    pool: Connection, subscription_id: UUID, enabling: int, *, now: datetime, again: datetime
) -> bool:
    """Whether it is this process that asks: not if the endpoint was asked after `again`."""
    return await pool.fetchrow(BEGIN, subscription_id, enabling, now, again) is not None


async def note_consent(pool: Connection, subscription_id: UUID, url: str, answer: Consent) -> None:
    await pool.execute(NOTE, subscription_id, url, answer.refusal, answer.rate_per_second)
