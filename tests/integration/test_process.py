"""What `accord run` and `accord migrate` say and do to a database before anything runs on it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
from database_addresses import on_database
from patience import within
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.carriers import Site
from services.composition import build
from services.first_start import prepare
from services.process import ApartSettings, NoDatabase, run
from services.sealing import check_key_of
from shared.agreement.loading import default_accord_text
from shared.clock import new_id
from shared.db import connections
from shared.db.connections import CannotConnect
from shared.db.migrate import NotMigrated, require_migrated
from shared.errors import InvalidDocument
from shared.secret_box import NoSecretKey, SecretBox, WrongSecretKey, new_secret_key


def never(started: object) -> None:
    raise AssertionError("it must not start")


@pytest.fixture
async def empty_database(postgres_url: str) -> AsyncIterator[str]:
    """One that nothing was ever done to."""
    name = f"accord_empty_{new_id().hex}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE DATABASE {name}")
    yield on_database(postgres_url, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


def test_without_a_database_it_says_what_to_set() -> None:
    with pytest.raises(NoDatabase, match="ACCORD_DATABASE_URL"):
        run("scoring", ("127.0.0.1", 0), ApartSettings(), never)


async def test_a_database_that_can_not_be_reached_is_said_without_its_password() -> None:
    with pytest.raises(CannotConnect, match=r"cannot connect to the database at 127\.0\.0\.1:1: ") as refused:
        await require_migrated("postgresql://accord:hush@127.0.0.1:1/accord")
    assert "hush" not in str(refused.value)


async def test_what_may_be_a_part_of_a_password_is_not_said() -> None:
    with pytest.raises(CannotConnect) as refused:
        await require_migrated("postgresql://127.0.0.1:1/2@127.0.0.1:3/accord")
    assert str(refused.value).startswith("cannot connect to the database: ")


async def test_a_database_that_is_silent_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_CONNECT_SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(CannotConnect, match=r"cannot connect to the database: no answer within 0.2 s"),
    ):
        await connections.connect(f"postgresql://accord@127.0.0.1:{silent.getsockname()[1]}/accord", "test")


async def test_a_database_without_a_schema_is_to_be_migrated_first(empty_database: str) -> None:
    with pytest.raises(NotMigrated, match=r"no schema.*`accord migrate`"):
        await require_migrated(empty_database)


async def test_an_older_schema_is_to_be_migrated_first_and_a_newer_one_will_do(database_url: str, pool: Any) -> None:
    await require_migrated(database_url)
    await pool.execute("UPDATE stream.alembic_version SET version_num = '0001'")
    with pytest.raises(NotMigrated, match=r"schema 0001.*`accord migrate`"):
        await require_migrated(database_url)
    await pool.execute("UPDATE stream.alembic_version SET version_num = '9999'")
    await require_migrated(database_url)


async def test_a_database_is_prepared_once_however_often_and_by_however_many(empty_database: str) -> None:
    all_at_once = await asyncio.gather(*(prepare(empty_database, None, None) for _ in range(3)))
    assert {prepared.accord_version for prepared in all_at_once} == {1}
    assert sum(prepared.admin_key is not None for prepared in all_at_once) == 1
    again = await prepare(empty_database, default_accord_text(), None)
    assert (again.accord_version, again.admin_key) == (1, None)
    await require_migrated(empty_database)


async def test_a_preset_key_is_not_shown_and_another_accord_is_refused(empty_database: str) -> None:
    prepared = await prepare(empty_database, None, SecretStr("acc_preset_0123456789abcdef"))
    assert prepared.admin_key is None
    with pytest.raises(InvalidDocument, match="differs from it"):
        await prepare(empty_database, default_accord_text().replace("points: 15", "points: 16"), None)


async def test_a_start_waits_for_no_owner_that_stands_still(database_url: str, pool: Any) -> None:
    await prepare(database_url, None, None)
    async with pool.acquire() as standing_still, standing_still.transaction():
        await standing_still.execute("SELECT FROM stream.ownership FOR UPDATE")
        async with within(10):
            await prepare(database_url, None, None)


async def test_a_process_with_another_key_for_the_secrets_does_not_start(database_url: str) -> None:
    old, new = new_secret_key(), new_secret_key()
    await prepare(database_url, None, None, SecretBox(old))
    with pytest.raises(WrongSecretKey):
        await prepare(database_url, None, None, SecretBox(new))
    with pytest.raises(WrongSecretKey):
        await check_key_of(database_url, SecretBox(new))
    await prepare(database_url, None, None, SecretBox(f"{new},{old}"))
    await check_key_of(database_url, SecretBox(new))


async def test_who_needs_a_key_for_the_secrets_says_so(database_url: str) -> None:
    await prepare(database_url, None, None)
    async with AsyncExitStack() as stack:
        site = Site(database_url, "http://localhost", 5, is_shared=True)
        house = await build(("scoring",), site, registry=CollectorRegistry(), stack=stack)
        with pytest.raises(NoSecretKey, match="ACCORD_SECRET_KEY"):
            _ = house.resources.secret_box
