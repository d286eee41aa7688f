"""The accords on file, and how every step reads them."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from builders import eventually

from services.api.main import bootstrap_accord
from services.api.store.signed import SignedAccords
from shared.agreement.loading import default_accord_text
from shared.db.accord_book import AccordBook
from shared.db.statement import Refused, Write, write_all
from shared.errors import InvalidDocument, PositionsMoved, Surroundings

LATER = datetime(2026, 12, 1, tzinfo=UTC)
ADD = """INSERT INTO api.accords (version, document, source_text, sha256, effective_at, state)
    SELECT $1, document, source_text, sha256, $2, $3 FROM api.accords WHERE version = 1"""


async def test_the_first_accord_applies_to_every_event_before_it_too(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        assert await bootstrap_accord(connection, default_accord_text()) == 1
        accords = await AccordBook().refresh(connection)
        assert accords.at(datetime(2000, 1, 1, tzinfo=UTC)).version == 1
        assert accords.newest.document.name == "Example Corp"
        signatures = await connection.fetch("SELECT side, signed_by, key_id FROM api.signatures")
    assert [tuple(signature) for signature in signatures] == [("bootstrap", "bootstrap", None)]


async def test_the_same_document_again_changes_nothing(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await bootstrap_accord(connection, default_accord_text())
        assert await bootstrap_accord(connection, "# a comment is not a change\n" + default_accord_text()) == 1
        assert await connection.fetchval("SELECT count(*) FROM api.accords") == 1


async def test_another_document_is_refused_and_the_one_on_file_is_kept(pool: asyncpg.Pool) -> None:
    other = default_accord_text().replace("name: Example Corp", "name: Other Corp")
    async with pool.acquire() as connection:
        await bootstrap_accord(connection, default_accord_text())
        with pytest.raises(InvalidDocument, match=r"version 1 .* differs from it.*accord accords propose FILE"):
            await bootstrap_accord(connection, other)
        assert (await AccordBook().refresh(connection)).newest.document.name == "Example Corp"


async def test_a_new_version_is_seen_by_the_next_refresh_and_a_proposal_is_not(pool: asyncpg.Pool) -> None:
    book = AccordBook()
    async with pool.acquire() as connection:
        await bootstrap_accord(connection, default_accord_text())
        first = await book.refresh(connection)
        assert await book.refresh(connection) is first
        await connection.execute(ADD, 2, None, "proposed")
        assert await book.refresh(connection) is first
        await connection.execute(ADD, 3, LATER, "scheduled")
        accords = await book.refresh(connection)
    assert accords.at(LATER - timedelta(microseconds=1)).version == 1
    assert accords.at(LATER).version == 3
    assert accords.version(1) is first.version(1)


async def test_who_reads_leads_knows_a_new_version_long_before_its_effect(
    pool: asyncpg.Pool,
) -> None:
    signed = SignedAccords(pool, AccordBook())
    async with pool.acquire() as connection:
        await bootstrap_accord(connection, default_accord_text())
        assert [accord.version for accord in (await signed()).all] == [1]
        await connection.execute(ADD, 2, LATER, "scheduled")

    async def is_known() -> bool:
        return [accord.version for accord in (await signed()).all] == [1, 2]

    await eventually(is_known, within=5)


async def test_a_step_without_an_accord_is_a_fault_of_the_surroundings(pool: asyncpg.Pool) -> None:
    book = AccordBook()
    async with pool.acquire() as connection:
        with pytest.raises(Surroundings, match="No accord is on file"):
            await book.refresh(connection)
        assert book.is_empty
        await bootstrap_accord(connection, default_accord_text())
        await connection.execute("""UPDATE api.accords SET document = '{"accord": 9}'""")
        with pytest.raises(Surroundings, match="version 1"):
            await book.refresh(connection)


class Assuming:
    """A step's transaction, as far as the book uses it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.reader = connection
        self.writes: list[Write] = []

    def add(self, *writes: Write) -> None:
        self.writes.extend(writes)


async def test_a_step_that_decided_by_other_accords_than_are_signed_is_refused_and_the_next_one_knows_them(
    pool: asyncpg.Pool,
) -> None:
    book = AccordBook()
    async with pool.acquire() as connection:
        await bootstrap_accord(connection, default_accord_text())
        step = Assuming(connection)
        first = await book.assume(step)
        assert await book.assume(step) is first
        await write_all(connection, step.writes[:1])
        await connection.execute(ADD, 2, LATER, "scheduled")
        with pytest.raises(Refused) as refused:
            await write_all(connection, step.writes[:1])
        assert isinstance(await refused.value.reason(connection), PositionsMoved)
        step = Assuming(connection)
        assert (await book.assume(step)).newest.version == 2
        await write_all(connection, step.writes)
