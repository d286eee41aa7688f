"""What the api's connections may do in the database: found out by trying."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from database_addresses import as_user, on_database
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.api.store.database import Database
from shared.clock import new_id
from shared.db.api_role import grant_api_role, take_on_api_role
from shared.db.connections import connect
from shared.db.engine import create_engine
from shared.db.migrate import upgrade
from shared.errors import Unavailable

OWN = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'api' AND table_type = 'BASE TABLE'"
VIEWS = "SELECT schemaname || '.' || viewname FROM pg_views WHERE viewname LIKE 'published\\_%'"
FOREIGN = """SELECT schemaname || '.' || tablename FROM pg_tables
    WHERE schemaname IN ('stream', 'ingest', 'scoring', 'stages', 'sla', 'delivery')"""


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, init=take_on_api_role)
    yield engine
    await engine.dispose()


async def refusal(engine: AsyncEngine, statement: str) -> str:
    """The SQLSTATE of what the role was refused; empty if it got through."""
    try:
        async with engine.begin() as connection:
            await connection.execute(text(statement))
    except DBAPIError as error:
        return str(getattr(error.orig, "sqlstate", ""))
    return ""


async def test_it_reads_every_published_view(engine: AsyncEngine, pool: asyncpg.Pool) -> None:
    views = [name for (name,) in await pool.fetch(VIEWS)]
    assert len(views) > 10
    for view in views:
        assert await refusal(engine, f"SELECT * FROM {view}") == "", view


async def test_it_touches_no_table_of_another_service(engine: AsyncEngine, pool: asyncpg.Pool) -> None:
    tables = [name for (name,) in await pool.fetch(FOREIGN)]
    assert len(tables) > 15
    for table in tables:
        for statement in (f"SELECT FROM {table}", f"DELETE FROM {table}", f"TRUNCATE {table}", f"DROP TABLE {table}"):
            assert await refusal(engine, statement) == "42501", statement


async def test_it_writes_through_no_view_and_makes_nothing(engine: AsyncEngine, pool: asyncpg.Pool) -> None:
    views = [name for (name,) in await pool.fetch(VIEWS) if not name.startswith("api.")]
    for view in views:
        assert await refusal(engine, f"DELETE FROM {view}") in ("42501", "55000"), view
    for statement in ("CREATE TABLE api.mine (a int)", "CREATE SCHEMA mine", "CREATE ROLE mine", "DROP SCHEMA api"):
        assert await refusal(engine, statement) == "42501", statement


async def test_it_writes_its_own_schema_only_in_a_transaction_for_that(engine: AsyncEngine) -> None:
    statement = text("INSERT INTO api.owners (owner) VALUES ('rep@sales.example')")
    database = Database(engine)
    with pytest.raises(Exception, match="read-only transaction"):
        await database.rows(statement)
    async with database.transaction() as connection:
        await connection.execute(statement)


async def test_a_statement_that_takes_off_the_role_gains_nothing(engine: AsyncEngine) -> None:
    database = Database(engine)
    await database.rows(text("SELECT set_config('role', 'none', false)"))
    with pytest.raises(ProgrammingError, match="permission denied"):
        await database.rows(text("SELECT * FROM scoring.leads"))


async def test_an_owner_who_may_not_make_roles_is_told_how_to_get_one(
    pool: asyncpg.Pool, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = f"plain_{new_id().hex[:8]}"
    await pool.execute(f"CREATE ROLE {owner} LOGIN PASSWORD 'plain'")
    connection = await connect(database_url, "test")
    try:
        await connection.execute(f"SET SESSION AUTHORIZATION {owner}")
        await grant_api_role(connection)
        await take_on_api_role(connection)
        assert await connection.fetchval("SELECT current_user") == owner
    finally:
        await connection.close()
        await pool.execute(f"DROP ROLE {owner}")
    said = capsys.readouterr().out
    assert f"CREATE ROLE {owner}_api NOLOGIN; GRANT {owner}_api TO {owner}" in said


async def test_an_owner_who_may_make_roles_needs_no_superuser(pool: asyncpg.Pool, database_url: str) -> None:
    owner = f"maker_{new_id().hex[:8]}"
    await pool.execute(f"CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD 'plain'")
    await pool.execute(f"CREATE DATABASE {owner} OWNER {owner}")
    try:
        url = as_user(on_database(database_url, owner), owner, "plain")
        await upgrade(url)
        engine = create_engine(url, init=take_on_api_role)
        assert await refusal(engine, "SELECT * FROM scoring.published_leads") == ""
        assert await refusal(engine, "SELECT * FROM scoring.leads") == "42501"
        await engine.dispose()
    finally:
        await pool.execute(f"DROP DATABASE {owner} WITH (FORCE)")
        await pool.execute(f"DROP ROLE IF EXISTS {owner}_api")
        await pool.execute(f"DROP ROLE {owner}")


async def test_a_statement_that_takes_too_long_is_ended_and_whoever_waited_may_ask_again(engine: AsyncEngine) -> None:
    database = Database(engine)
    assert await database.row(text("SHOW statement_timeout")) == {"statement_timeout": "1min"}
    async with database.transaction() as connection:
        await connection.execute(text("SET statement_timeout = '50ms'"))
    with pytest.raises(Unavailable):
        await database.rows(text("SELECT pg_sleep(60)"))
