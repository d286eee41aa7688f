"""Whose events a key's are: told right from the first request on, since an event's id is made of its source's name."""

import asyncio
from uuid import UUID

import asyncpg

from services.ingest.sources import SourceBook
from shared.http.auth import Principal

SITE, SHOP = UUID(int=1), UUID(int=2)
ADD = "INSERT INTO api.sources (source_id, name, kind, team, secret) VALUES ($1, $2, 'generic', 'sales', 's')"


def key_of(source_id: UUID | None) -> Principal:
    return Principal("k", "k", "operations", frozenset(), source_id)


async def names(book: SourceBook, *source_ids: UUID | None) -> list[tuple[str | None, str | None]]:
    """All asked at once."""
    senders = await asyncio.gather(*(book.sender(key_of(source_id)) for source_id in source_ids))
    return [(sender.source, sender.team) for sender in senders]


async def test_requests_that_come_while_sources_are_first_read_wait_for_them(pool: asyncpg.Pool) -> None:
    await pool.execute(ADD, SITE, "site")
    assert await names(SourceBook(pool), *[SITE] * 20) == [("site", "sales")] * 20


async def test_a_source_made_just_now_is_known_to_its_key(pool: asyncpg.Pool) -> None:
    book = SourceBook(pool)
    assert await names(book, None) == [(None, None)]
    await pool.execute(ADD, SHOP, "shop")
    assert await names(book, SHOP, None, SHOP) == [("shop", "sales"), (None, None), ("shop", "sales")]


async def test_the_key_of_a_source_that_is_no_more_names_none(pool: asyncpg.Pool) -> None:
    book = SourceBook(pool)
    await pool.execute(ADD, SITE, "site")
    assert await names(book, SHOP, SITE, SHOP) == [(None, None), ("site", "sales"), (None, None)]
    assert await names(book, SHOP) == [(None, None)]
