"""A server of somebody's own may be named by its socket: everything that takes its address takes that too."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from api_builders import ADMIN_KEY, running_line
from database_addresses import as_user, database_of, on_database
from pydantic import SecretStr
from typer.testing import CliRunner

from services.audit.run import audit
from services.cli import app
from services.first_start import prepare
from shared.db.connections import CannotConnect, connect
from shared.db.embedded import EmbeddedPostgres


@pytest.fixture
def address(made_folder: Path) -> Iterator[str]:
    """Of a Postgres that has a socket in its folder, which the embedded one is not told to have."""
    folder = (made_folder / "postgres").resolve()
    with EmbeddedPostgres(made_folder, settings={"unix_socket_directories": str(folder)}) as postgres:
        before_place, _, place = postgres.dsn.partition("@")
        port, _, database = place.removeprefix("127.0.0.1:").partition("/")
        yield f"{before_place}@/{database}?host={folder}&port={port}"


async def test_the_whole_line_and_its_audit_run_by_a_socket(address: str) -> None:
    await prepare(address, None, SecretStr(ADMIN_KEY))
    async with running_line(address) as caller:
        posted = await caller.post(
            "/v1/events",
            {"type": "demo.requested", "lead": {"email": "by@socket.example"}, "profile": {"title": "CTO"}},
        )
        assert posted.status == 202
        await caller.lead_in_stage("by@socket.example", "mql")
    assert (await audit(address)).is_clean

    connection = await connect(address, "test")
    assert await connection.fetchval("SELECT client_addr IS NULL FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    await connection.close()


def test_commands_find_a_database_by_its_socket(address: str) -> None:
    run = CliRunner(
        env={"ACCORD_DATABASE_URL": address, "ACCORD_SECRET_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
    )
    assert run.invoke(app, ["migrate"]).exit_code == 0
    assert "ok       migrations: " in run.invoke(app, ["doctor"]).output
    for command, said in (("skip", "doesn't wait for anything"), ("resume", "is not stopped")):
        assert said in str(run.invoke(app, [command, "scoring", "0"]).exception)


async def test_other_databases_and_users_of_the_same_socket_have_its_address_too(address: str) -> None:
    connection = await asyncpg.connect(address)
    await connection.execute("CREATE DATABASE other")
    await connection.execute("CREATE ROLE guest LOGIN PASSWORD 'let me in'")
    await connection.close()
    other = as_user(on_database(address, "other"), "guest", "let me in")
    assert database_of(other) == "other"
    connection = await asyncpg.connect(other)
    assert tuple(await connection.fetchrow("SELECT current_user, current_database()")) == ("guest", "other")
    await connection.close()


async def test_a_socket_that_is_not_there_is_named_without_the_password(tmp_path: Path) -> None:
    nowhere = f"postgresql://accord:hush@/accord?host={tmp_path}&port=6543"
    with pytest.raises(CannotConnect) as refused:
        await connect(nowhere, "test")
    assert f"cannot connect to the database at {tmp_path}/.s.PGSQL.6543: " in str(refused.value)
    assert "hush" not in str(refused.value)
