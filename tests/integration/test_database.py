"""Migrations and connections on a real Postgres."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.db.connections import create_pool, dsn
from shared.db.engine import create_engine
from shared.db.migrate import is_current, upgrade


async def test_a_migrated_database_is_current_and_migrating_it_again_changes_nothing(database_url: str) -> None:
    assert await is_current(database_url)
    await upgrade(database_url)
    assert await is_current(database_url)


async def test_an_empty_database_is_not_current_until_processes_that_start_at_once_have_migrated_it(
    postgres_url: str, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    for schema in await connection.fetch(
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'"
    ):
        await connection.execute(f"DROP SCHEMA {schema['nspname']} CASCADE")
    await connection.close()
    assert not await is_current(database_url)

    await asyncio.gather(*(upgrade(database_url) for _ in range(3)))

    assert await is_current(database_url)


async def test_an_owner_that_stands_still_in_a_transaction_is_ended_by_the_database(pool: asyncpg.Pool) -> None:
    assert await pool.fetchval("SHOW idle_in_transaction_session_timeout") == "10s"
    assert await pool.fetchval("SHOW tcp_user_timeout") == "10000"


async def test_json_goes_through_the_engine_and_comes_back(database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql://", "postgres://"))
    async with engine.connect() as connection:
        assert await connection.scalar(text("""SELECT '{"a": [1, "ä"]}'::jsonb""")) == {"a": [1, "ä"]}
    await engine.dispose()


async def test_a_connection_that_the_server_has_closed_is_replaced_unseen(
    database_url: str, pool: asyncpg.Pool
) -> None:
    engine = create_engine(database_url, pool_size=1)
    mine = text("SELECT pg_backend_pid()")
    async with engine.connect() as connection:
        former = await connection.scalar(mine)
        assert await pool.fetchval("SELECT pg_terminate_backend($1, 5000)", former)
        with pytest.raises(DBAPIError):
            await connection.scalar(mine)
    async with engine.connect() as connection:
        latter = await connection.scalar(mine)
    assert await pool.fetchval("SELECT pg_terminate_backend($1, 5000)", latter)
    async with engine.connect() as connection:
        assert await connection.scalar(mine) not in (former, latter)
    await engine.dispose()


async def test_a_statement_of_a_pool_is_one_round_trip_and_a_transaction_left_open_is_rolled_back(
    database_url: str, pool: asyncpg.Pool
) -> None:
    second = await create_pool(database_url, max_size=1)
    mine = await second.fetchval("SELECT pg_backend_pid()")
    last = "SELECT query, state FROM pg_stat_activity WHERE pid = $1"
    assert tuple(await pool.fetchrow(last, mine)) == ("SELECT pg_backend_pid()", "idle")
    async with second.acquire() as connection:
        await connection.execute("BEGIN")
    assert tuple(await pool.fetchrow(last, mine)) == ("ROLLBACK", "idle")
    assert await second.fetchval("SELECT pg_backend_pid()") == mine
    await second.close()


async def test_each_test_has_a_database_of_its_own(database_url: str, pool: asyncpg.Pool) -> None:
    second = await create_pool(database_url, max_size=1)
    assert await second.fetchval("SELECT current_database()") == await pool.fetchval("SELECT current_database()")
    assert await second.fetchval("SELECT current_database()") in database_url
    await second.close()


@pytest.mark.parametrize("scheme", ["postgres://", "postgresql://", "postgresql+asyncpg://"])
def test_an_address_may_be_written_in_any_of_the_usual_ways(scheme: str) -> None:
    assert dsn(f"{scheme}a:b@host/db") == "postgresql://a:b@host/db"


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        dsn("sqlite:///x")


async def test_who_reads_the_log_of_postgres_is_told_what_a_refused_statement_means(pool: asyncpg.Pool) -> None:
    with pytest.raises(asyncpg.PostgresError, match="changed nothing, and begins again") as refused:
        await pool.execute("SELECT stream.refuse('3')")
    assert (refused.value.sqlstate, refused.value.detail) == ("AC001", "3")
