"""Brings a database to the newest schema. Several processes may do so at once: one works, the others wait."""

from importlib.resources import as_file, files
from typing import Final

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from shared.db.api_role import grant_api_role
from shared.db.connections import connect
from shared.db.engine import create_engine
from shared.errors import AccordError

log = structlog.get_logger(component="migrate")

VERSION_SCHEMA: Final = "stream"
_LOCK: Final = 0x4143434F5244  # "ACCORD"


class NotMigrated(AccordError):
    """The database must be brought to this release's schema first."""


async def upgrade(database_url: str) -> None:
    """Runs the missing migrations, all in one transaction; then grants the api's role what they brought."""
    engine = create_engine(database_url, application_name="accord-migrate")
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}"))
            await connection.commit()
            try:
                await connection.run_sync(_upgrade)
                await connection.commit()
                raw = await connection.get_raw_connection()
                await grant_api_role(raw.driver_connection)
            finally:
                await connection.rollback()
                await connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
    finally:
        await engine.dispose()


async def is_current(database_url: str) -> bool:
    """Whether the database has exactly the schema that this release was written for."""
    engine = create_engine(database_url, application_name="accord-migrate")
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_is_current)
    finally:
        await engine.dispose()


async def require_migrated(database_url: str) -> None:
    """Raises NotMigrated when the schema is older than this release. A newer one is fine: during an upgrade the
    processes of the former release go on until they are replaced."""
    connection = await connect(database_url, "accord-start")
    try:
        applied = await connection.fetchval(f"SELECT version_num FROM {VERSION_SCHEMA}.alembic_version")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        applied = None
    finally:
        await connection.close()
    with as_file(files("deploy.migrations")) as folder:
        scripts = ScriptDirectory.from_config(_configuration(str(folder)))
        needed = scripts.get_current_head()
        known = {script.revision for script in scripts.walk_revisions()}
    if applied is None or (applied in known and applied != needed):
        found = f"has schema {applied}" if applied else "has no schema of Accord"
        raise NotMigrated(f"the database {found}, and this release needs {needed}: run `accord migrate` first")
    if applied != needed:
        log.warning("schema_is_newer", found=applied, needed=needed)


def _upgrade(connection: Connection) -> None:
    with as_file(files("deploy.migrations")) as folder:
        config = _configuration(str(folder))
        config.attributes.update(connection=connection, version_schema=VERSION_SCHEMA)
        if ScriptDirectory.from_config(config).get_heads():
            command.upgrade(config, "head")


def _is_current(connection: Connection) -> bool:
    applied = MigrationContext.configure(connection, opts={"version_table_schema": VERSION_SCHEMA})
    with as_file(files("deploy.migrations")) as folder:
        heads = ScriptDirectory.from_config(_configuration(str(folder))).get_heads()
    return set(applied.get_current_heads()) == set(heads)


def _configuration(folder: str) -> Config:
    config = Config()
    config.set_main_option("script_location", folder.replace("%", "%%"))
    return config
