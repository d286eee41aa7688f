"""How the line is: what `stream` publishes of its readers, and the verdicts of audits."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select, text

from services.api.store.database import Database, Row
from services.api.store.tables import AUDITS

# Every service that reads or publishes, those that nobody runs too.
_SERVICES: Final = text("""
WITH readings AS (
    SELECT service, sum(read)::bigint AS read, sum(unread)::bigint AS unread,
        min(oldest_unread_at) FILTER (WHERE unread > 0) AS oldest_unread_at
    FROM stream.published_readings GROUP BY service),
partitions AS (
    SELECT service, count(*) AS partitions, count(*) FILTER (WHERE is_owned) AS owned
    FROM stream.published_partitions GROUP BY service),
lanes AS (
    SELECT service, count(*) FILTER (WHERE leased_until > clock_timestamp()) AS lanes
    FROM stream.published_lanes GROUP BY service),
emitted AS (SELECT service, sum(events)::bigint AS emitted FROM stream.published_emitted GROUP BY service),
letters AS (
    SELECT service, count(*) AS dead_letters FROM stream.published_dead_letters WHERE state = 'open' GROUP BY service)
SELECT service, coalesce(partitions, 0) AS partitions, coalesce(owned, 0) AS owned, coalesce(lanes, 0) AS lanes,
    coalesce(read, 0) AS read, coalesce(unread, 0) AS unread, coalesce(emitted, 0) AS emitted,
    coalesce(dead_letters, 0) AS dead_letters,
    extract(epoch FROM clock_timestamp() - oldest_unread_at)::double precision AS oldest_unread_seconds
FROM partitions FULL JOIN lanes USING (service) LEFT JOIN readings USING (service) LEFT JOIN emitted USING (service)
    LEFT JOIN letters USING (service)
ORDER BY service""")
_HELD_UP: Final = text("""
SELECT * FROM stream.published_partitions WHERE is_stopped OR missing_topic IS NOT NULL ORDER BY service, partition""")
_TOTALS: Final = text("""
SELECT service, sum(read)::bigint AS read, sum(emitted)::bigint AS emitted FROM (
    SELECT service, read, 0 AS emitted FROM stream.published_readings
    UNION ALL SELECT service, 0, events FROM stream.published_emitted) AS counted
GROUP BY service""")


class OperationStore:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def services(self) -> Sequence[Row]:
        """One row per service, by name."""
        return await self._database.rows(_SERVICES)

    async def held_up(self) -> Sequence[Row]:
        """Partitions that the breaker stopped, or that wait for missing numbers."""
        return await self._database.rows(_HELD_UP)

    async def last_audit(self) -> Row | None:
        return await self._database.row(select(AUDITS).order_by(AUDITS.c.taken_at.desc()).limit(1))

    async def totals(self) -> Sequence[Row]:
        """By service, how many events it has read and emitted so far."""
        return await self._database.rows(_TOTALS)
