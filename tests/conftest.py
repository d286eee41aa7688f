"""A real Postgres for the whole run, and a fresh migrated database for each test that asks for one.

ACCORD_TEST_DATABASE_URL names a server to use instead of the embedded one (its role must be able to create databases).
"""

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from database_addresses import on_database
from hypothesis import HealthCheck, settings

from shared.clock import new_id
from shared.db.connections import create_pool, dsn
from shared.db.embedded import EmbeddedPostgres
from shared.db.migrate import upgrade

pytest_plugins = ["kafka_fixtures", "workers"]

# A failed assert tells what it found wherever it stands, not in test files alone. Tests that import from this file read
# it a second time, when some of its neighbours are imported already.
_NEIGHBOURS = {path.stem for path in Path(__file__).parent.iterdir()} - {"conftest"}
pytest.register_assert_rewrite(*_NEIGHBOURS.difference(sys.modules))

# A machine that is busy with other things is no failure of the code: neither an example nor its making has a deadline,
# whichever test asks. What a run says is about the change and not about luck: the examples are the same every time. Who
# looks for others runs `pytest -m hypothesis --hypothesis-profile=search`.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("accord", settings.get_profile("search"), derandomize=True)
settings.load_profile("accord")

# What a power cut would lose is lost anyway when the tests end.
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user can enter (pytest's own are mode 700, and Postgres never runs as root)."""
    folder = Path(tempfile.mkdtemp(prefix="accord-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The server of this run."""
    if named := os.environ.get("ACCORD_TEST_DATABASE_URL"):
        yield dsn(named)
        return
    folder = Path(tempfile.mkdtemp(prefix="accord-tests-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder, settings=_QUICK, wal_mb=8) as postgres:
            yield postgres.dsn
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template_database(postgres_url: str) -> AsyncIterator[str]:
    """The name of a migrated database without rows, for cloning."""
    name = f"accord_template_{new_id().hex}"
    await _administer(postgres_url, f"CREATE DATABASE {name}")
    try:
        await upgrade(on_database(postgres_url, name))
        yield name
    finally:
        await _administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(postgres_url: str, template_database: str) -> AsyncIterator[str]:
    """A fresh migrated database of this test's own."""
    async for address in cloned(postgres_url, template_database):
        yield address


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """An asyncpg pool on `database_url`."""
    pool = await create_pool(database_url, application_name="accord-test")
    try:
        yield pool
    finally:
        pool.terminate()


async def cloned(server: str, template: str) -> AsyncGenerator[str]:
    """The address of a copy of a database to which nobody is connected; dropped when this is closed."""
    name = f"accord_test_{new_id().hex}"
    # By default the copy is written to the log too: four times the CPU, for a server that is thrown away.
    await _administer(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield on_database(server, name)
    finally:
        await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


async def _administer(server: str, statement: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
