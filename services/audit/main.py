"""`accord audit`: finds the database, running or not, and says how it is. Exit codes are for cron."""

import asyncio
import json
import os
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import structlog
from rich.console import Console

from services.audit.recording import record
from services.audit.report import print_report, to_json
from services.audit.run import Audit, audit
from shared.db.data_folder import ADDRESS_FILE, is_in_use, locked
from shared.db.embedded import EmbeddedPostgres
from shared.db.migrate import require_migrated
from shared.errors import AccordError
from shared.settings import ProcessSettings
from shared.telemetry.logging import configure_logging, describe_error

log = structlog.get_logger(component="audit")

CLEAN, DIFFERENCES, NOT_DONE = 0, 1, 2
PROCESSES_MAX = 8


def run_audit(data: Path, *, as_json: bool, processes: int | None) -> int:
    """Prints the verdict; returns the exit code."""
    settings = ProcessSettings()
    configure_logging("warning", settings.log_format)
    named = settings.database_url.get_secret_value() if settings.database_url else None
    try:
        with database_of(data, named) as database_url:
            asyncio.run(require_migrated(database_url))
            found = asyncio.run(audit(database_url, processes or min(os.cpu_count() or 1, PROCESSES_MAX)))
            asyncio.run(_record(database_url, found))
    except (AccordError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, BrokenProcessPool) as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"error: the audit couldn't be done: {error}", markup=False)
        return NOT_DONE
    except Exception as error:
        # Cron must be able to tell an audit that broke from one that found something.
        log.error("audit_failed", **describe_error(error))
        return NOT_DONE
    _print(found, as_json=as_json)
    return CLEAN if found.is_clean else DIFFERENCES


async def _record(database_url: str, found: Audit) -> None:
    """What was found is told in any case."""
    try:
        if await record(database_url, found):
            return
        why = "this database is read only"
    except (AccordError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        why = str(error)
    console = Console(stderr=True, highlight=False)
    console.print(f"not recorded for GET /v1/operations: {why}", markup=False, soft_wrap=True)


@contextmanager
def database_of(data: Path, named: str | None) -> Iterator[str]:
    """The address of the database: the one named, or that of the data folder, whose Postgres is started if no Accord
    runs there."""
    if named is not None:
        yield named
        return
    address = data / ADDRESS_FILE
    if not address.exists():
        raise AccordError(f"there is no Accord in {data}: name its folder with --data, or set ACCORD_DATABASE_URL")
    if not is_in_use(data):
        with locked(data), EmbeddedPostgres(data.absolute()) as postgres:
            yield postgres.dsn
            return
    yield address.read_text().strip()


def _print(found: Audit, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(to_json(found)))
        return
    print_report(Console(highlight=False, soft_wrap=True), found)
