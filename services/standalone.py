"""`accord up`: all services in one process, on one port, with a Postgres of its own unless one is named.

Order of a start: lock the data folder, Postgres, migrations, accord, admin key, services, HTTP. A stop goes the other
way round, Postgres last.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
import uvloop

from services import composition
from services.carriers import Site
from services.first_start import FirstStartSettings, Prepared, prepare
from services.sealing import box_of
from services.serving import listening, serve, stop_on_signals, url_of
from shared.db.data_folder import ADDRESS_FILE, locked
from shared.db.embedded import EmbeddedPostgres
from shared.settings import WebAddress
from shared.telemetry.metrics import create_registry

log = structlog.get_logger(component="standalone")

POSTGRES_CHECK_SECONDS = 0.2


class StandaloneSettings(FirstStartSettings):
    """What `accord up` reads beside what every process reads."""

    public_url: WebAddress | None = None


@dataclass(frozen=True)
class Start:
    """What `accord up` was asked for; `accord` is the text of the agreement that it was given."""

    data: Path
    host: str
    port: int
    accord: str | None


Announce = Callable[[str, Prepared], None]  # its address, and what the start made


def up(start: Start, settings: StandaloneSettings, announce: Announce) -> None:
    """Runs until SIGINT or SIGTERM. Raises AccordError or OSError when it can't start."""
    start.data.mkdir(parents=True, exist_ok=True)
    with locked(start.data), listening(start.host, start.port) as listener:
        if settings.database_url is not None:
            uvloop.run(_run(start, settings, listener, announce, database=settings.database_url.get_secret_value()))
            return
        # From this thread: the kernel ends Postgres when the thread that started it ends.
        with EmbeddedPostgres(start.data) as postgres:
            _write_address(start.data, postgres.dsn)
            uvloop.run(_run(start, settings, listener, announce, database=postgres.dsn, postgres=postgres))


async def _run(
    start: Start,
    settings: StandaloneSettings,
    listener: socket.socket,
    announce: Announce,
    *,
    database: str,
    postgres: EmbeddedPostgres | None = None,
) -> None:
    stopped = stop_on_signals()
    url = settings.public_url or url_of(listener)
    box = box_of(settings.secret_key, start.data)
    prepared = await prepare(database, start.accord, settings.admin_key, box)
    registry = create_registry()
    async with AsyncExitStack() as stack:
        site = Site(database, url, settings.database_pool_size, is_shared=postgres is None, secrets=box)
        house = await composition.build(tuple(composition.SERVICES), site, registry=registry, stack=stack)
        keepers = [partial(_keep, postgres)] if postgres else []
        on_ready = partial(announce, url, prepared)
        await serve(house, registry, listener, stopped=stopped, on_ready=on_ready, beside=keepers)


async def _keep(postgres: EmbeddedPostgres) -> None:
    """Starts Postgres again when it has died: on this thread, as the kernel demands. HTTP answers 503 meanwhile."""
    while True:
        await asyncio.sleep(POSTGRES_CHECK_SECONDS)
        if not postgres.is_running:
            log.error("postgres_died")
            await postgres.start_again()


def _write_address(data: Path, database_url: str) -> None:
    """For operators: `accord resume` and psql find the database of this folder here. It holds a password."""
    path = data / ADDRESS_FILE
    path.touch(mode=0o600)
    path.write_text(database_url + "\n")
