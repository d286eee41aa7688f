"""What sources sent last, by kind and one by one; and kept requests, until they are replayed or too old."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from services.ingest.model.notes import Gathered

Connection = Any

RECENT_KEPT = 100
KINDS_KEPT = 1_000

ADD_RECENT = """INSERT INTO ingest.receipts (receipt_id, source_id, received_at, standing, kind, type, event_id, reason)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::uuid[],
    $8::text[])"""

ADD_KINDS = """INSERT INTO ingest.source_kinds AS known (source_id, kind, standing, events, first_at, last_at)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
ON CONFLICT (source_id, kind, standing) DO UPDATE SET events = known.events + EXCLUDED.events,
    last_at = greatest(known.last_at, EXCLUDED.last_at)"""

TRIM_RECENT = """DELETE FROM ingest.receipts WHERE sent_bytes = 0 AND receipt_id IN (
    SELECT receipt_id FROM (
        SELECT receipt_id, row_number() OVER (PARTITION BY source_id ORDER BY received_at DESC, receipt_id) AS place
        FROM ingest.receipts WHERE sent_bytes = 0) AS placed
    WHERE place > $1)"""

TRIM_KEPT = """DELETE FROM ingest.receipts WHERE sent_bytes > 0 AND receipt_id IN (
    SELECT receipt_id FROM (
        SELECT receipt_id, received_at,
            row_number() OVER (PARTITION BY source_id ORDER BY received_at DESC, receipt_id) AS place,
            sum(length(sent)) OVER (ORDER BY received_at DESC, receipt_id) AS bytes
        FROM ingest.receipts WHERE sent_bytes > 0) AS placed
    WHERE received_at < $1 OR place > $2 OR bytes > $3)"""

TRIM_KINDS = """DELETE FROM ingest.source_kinds WHERE (source_id, kind, standing) IN (
    SELECT source_id, kind, standing FROM (
        SELECT source_id, kind, standing, row_number() OVER (PARTITION BY source_id ORDER BY last_at DESC) AS place
        FROM ingest.source_kinds) AS placed
    WHERE place > $1)"""

FORGET_SOURCES = """DELETE FROM ingest.receipts WHERE NOT EXISTS (
    SELECT FROM api.published_sources s WHERE s.source_id = receipts.source_id)"""

FORGET_KINDS = """DELETE FROM ingest.source_kinds WHERE NOT EXISTS (
    SELECT FROM api.published_sources s WHERE s.source_id = source_kinds.source_id)"""

ASKED = """SELECT r.receipt_id, r.source_id, r.sent FROM ingest.receipts r
JOIN api.published_receipt_replays asked USING (receipt_id)
WHERE r.sent IS NOT NULL AND (r.replayed_at IS NULL OR r.replayed_at < asked.asked_at)
ORDER BY r.received_at LIMIT $1"""
DONE = "DELETE FROM ingest.receipts WHERE receipt_id = $1"
STILL_KEPT = "UPDATE ingest.receipts SET replayed_at = $2 WHERE receipt_id = $1"


VALUES_OF = "SELECT DISTINCT value FROM ingest.identities WHERE lead_id = ANY($1::uuid[])"
KEPT_AFTER = """SELECT receipt_id, sent FROM ingest.receipts WHERE sent IS NOT NULL AND receipt_id > $1
ORDER BY receipt_id LIMIT $2"""
DROP = "DELETE FROM ingest.receipts WHERE receipt_id = ANY($1::uuid[])"


class Asked(NamedTuple):
    """A kept request whose replay was asked for."""

    receipt_id: UUID
    source_id: UUID
    sent: str


class Bounds(NamedTuple):
    """How long kept requests stay: since when, how many of a source, how many bytes of all."""

    not_before: datetime
    per_source: int
    bytes: int


class ReceiptStore:
    """Works on a pool, or on a connection with its transaction open."""

    async def write(
        self, connection: Connection, gathered: Mapping[UUID, Gathered], ids: Mapping[UUID, list[UUID]]
    ) -> None:
        """Adds what was noted; `ids` has one for each of the recent notes. Locks in the order of the keys."""
        recent = [
            (id, source_id, note.received_at, note.standing, note.kind, note.type, note.event_id, note.reason)
            for source_id, one in gathered.items()
            for id, note in zip(ids[source_id], one.recent, strict=True)
        ]
        kinds = sorted(
            (source_id, kind, standing, *counted)
            for source_id, one in gathered.items()
            for (kind, standing), counted in one.kinds.items()
        )
        async with connection.transaction():
            await connection.execute(ADD_KINDS, *zip(*kinds, strict=True))
            # All may only be counted: what was refused as a whole is listed by its receipt.
            if recent:
                await connection.execute(ADD_RECENT, *zip(*recent, strict=True))

    async def trim(self, pool: Connection, bounds: Bounds) -> int:
        """Deletes what is beyond the bounds. Returns how many kept requests went."""
        await pool.execute(TRIM_RECENT, RECENT_KEPT)
        await pool.execute(TRIM_KINDS, KINDS_KEPT)
        await pool.execute(FORGET_SOURCES)
        await pool.execute(FORGET_KINDS)
        return int((await pool.execute(TRIM_KEPT, *bounds)).split()[-1])

    async def asked(self, connection: Connection, limit: int) -> list[Asked]:
        """Replays that were asked for, the oldest first. Two processes may find the same: its events have their ids."""
        return [Asked(*row) for row in await connection.fetch(ASKED, limit)]

    async def values_of(self, pool: Connection, lead_ids: Sequence[UUID]) -> list[str]:
        """All identifiers of these leads."""
        return [value for (value,) in await pool.fetch(VALUES_OF, sorted(lead_ids))]

    async def kept_after(self, pool: Connection, receipt_id: UUID, limit: int) -> list[tuple[UUID, str]]:
        """Kept requests in the order of their ids, sealed."""
        return [tuple(row) for row in await pool.fetch(KEPT_AFTER, receipt_id, limit)]

    async def drop(self, pool: Connection, receipt_ids: Sequence[UUID]) -> None:
        await pool.execute(DROP, sorted(receipt_ids))

    async def close(self, connection: Connection, receipt_id: UUID, *, is_kept: bool, at: datetime) -> None:
        """After a replay: gone, or still kept."""
        if is_kept:
            await connection.execute(STILL_KEPT, receipt_id, at)
        else:
            await connection.execute(DONE, receipt_id)
