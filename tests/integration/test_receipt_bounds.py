"""What is kept of sources stays within its bounds: by age, by number, by bytes, and no longer than its source."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from services.ingest.model.notes import Note, Notes
from services.ingest.store.receipts import RECENT_KEPT, Bounds, ReceiptStore
from shared.clock import new_id

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SITE, SHOP = UUID(int=1), UUID(int=2)
STORE = ReceiptStore()
WIDE = Bounds(NOW - timedelta(days=14), 1_000, 1_000_000)


@pytest.fixture
async def sources(pool: asyncpg.Pool) -> asyncpg.Pool:
    for id in (SITE, SHOP):
        await pool.execute("INSERT INTO api.sources VALUES ($1, 'n', 'generic', 'sales', 's')", id)
    return pool


async def keep(pool: asyncpg.Pool, source: UUID, *minutes_ago: int, size: int = 10) -> None:
    for minutes in minutes_ago:
        await pool.execute(
            """INSERT INTO ingest.receipts (source_id, receipt_id, received_at, standing, sent, sent_bytes)
            VALUES ($1, $2, $3, 'rejected', $4, $5)""",
            *(source, new_id(), NOW - timedelta(minutes=minutes), "x" * size, size),
        )


async def kept(pool: asyncpg.Pool) -> list[tuple[int, int]]:
    """Source and age of each that is left."""
    rows = await pool.fetch("SELECT source_id, received_at FROM ingest.receipts WHERE sent IS NOT NULL ORDER BY 1, 2")
    return [(row[0].int, round((NOW - row[1]).total_seconds() / 60)) for row in rows]


async def test_the_too_old_go(sources: asyncpg.Pool) -> None:
    await keep(sources, SITE, 5, 15)
    assert await STORE.trim(sources, WIDE._replace(not_before=NOW - timedelta(minutes=10))) == 1
    assert await kept(sources) == [(1, 5)]


async def test_of_each_source_the_latest_stay(sources: asyncpg.Pool) -> None:
    await keep(sources, SITE, 1, 2, 3)
    await keep(sources, SHOP, 7)
    assert await STORE.trim(sources, WIDE._replace(per_source=2)) == 1
    assert await kept(sources) == [(1, 2), (1, 1), (2, 7)]


async def test_of_all_together_the_latest_bytes_stay(sources: asyncpg.Pool) -> None:
    await keep(sources, SITE, 1, 3, size=100)
    await keep(sources, SHOP, 2, size=100)
    assert await STORE.trim(sources, WIDE._replace(bytes=250)) == 1
    assert await kept(sources) == [(1, 1), (2, 2)]


async def test_a_removed_sources_receipts_and_counts_go(sources: asyncpg.Pool) -> None:
    await keep(sources, SITE, 1)
    await write(sources, SHOP, 1)
    await sources.execute("UPDATE api.sources SET deleted_at = now()")
    await STORE.trim(sources, WIDE)
    assert await kept(sources) == []
    assert await sources.fetchval("SELECT count(*) FROM ingest.source_kinds") == 0


async def test_the_latest_events_are_a_hundred_and_counts_add_up(sources: asyncpg.Pool) -> None:
    for _ in range(8):
        await write(sources, SITE, 15)
    await keep(sources, SITE, 1)
    await STORE.trim(sources, WIDE)
    assert await sources.fetchval("SELECT count(*) FROM ingest.receipts WHERE sent IS NULL") == RECENT_KEPT
    assert await sources.fetchval("SELECT events FROM ingest.source_kinds WHERE kind = 'Viewed'") == 120
    assert await kept(sources) == [(1, 1)]


async def test_what_is_only_counted_is_written_without_anything_listed(sources: asyncpg.Pool) -> None:
    await write(sources, SITE, 3, is_listed=False)
    assert await sources.fetchval("SELECT events FROM ingest.source_kinds WHERE kind = 'Viewed'") == 3
    assert await sources.fetchval("SELECT count(*) FROM ingest.receipts") == 0


async def write(pool: asyncpg.Pool, source: UUID, count: int, *, is_listed: bool = True) -> None:
    notes = Notes()
    for _ in range(count):
        notes.add(source, Note(NOW, "accepted", "Viewed", "page.viewed", new_id()), is_listed=is_listed)
    gathered = notes.take()
    ids = {id: [new_id() for _ in one.recent] for id, one in gathered.items()}
    async with pool.acquire() as connection:
        await STORE.write(connection, gathered, ids)
