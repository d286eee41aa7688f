"""`accord up`: all services in one process, on one port, with a Postgres of its own unless one is named.

Order of a start: lock the data folder, Postgres, migrations, accord, admin key, services, HTTP. A stop goes the other
way round, Postgres last.
"""

import asyncio
import fcntl
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import structlog
import uvicorn
import uvloop
from pydantic import SecretStr
from starlette.types import ASGIApp

from services import composition
from services.api.main import bootstrap_accord
from services.composition import House, Site
from services.http_app import build_app
from shared.agreement.loading import default_accord_text, load_accord, not_yet_executed
from shared.db.embedded import EmbeddedPostgres
from shared.db.engine import connect_options, dsn
from shared.db.migrate import upgrade
from shared.errors import AccordError
from shared.http.auth import ensure_admin_key
from shared.settings import ProcessSettings
from shared.telemetry.metrics import create_registry

log = structlog.get_logger(component="standalone")

SHUTDOWN_SECONDS = 10
POSTGRES_CHECK_SECONDS = 0.2
CONNECTIONS_MAX = 1_000
# Fewer, larger collections: the objects of the hot paths die young, by reference counting (PROBES.md 4).
YOUNG_OBJECTS = 50_000
ADDRESS_FILE = "database-url"


class FolderInUse(AccordError):
    """Another Accord is using this data folder."""


class CannotListen(AccordError):
    """The address is taken or isn't this machine's."""


class StandaloneSettings(ProcessSettings):
    """What `accord up` reads beside what every process reads."""

    admin_key: SecretStr | None = None
    public_url: str | None = None


@dataclass(frozen=True)
class Start:
    """What `accord up` was asked for."""

    data: Path
    host: str
    port: int
    accord: Path | None


@dataclass(frozen=True)
class Started:
    """What a start has to tell people. `admin_key` was made now and is shown this once."""

    url: str
    admin_key: str | None
    accord_version: int
    not_yet_executed: list[str]


Announce = Callable[[Started], None]


def up(start: Start, settings: StandaloneSettings, announce: Announce) -> None:
    """Runs until SIGINT or SIGTERM. Raises AccordError or OSError when it can't start."""
    start.data.mkdir(parents=True, exist_ok=True)
    with _locked(start.data), _listening(start.host, start.port) as listener:
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
    stopped = _stop_on_signals()
    host, port = listener.getsockname()[:2]
    url = settings.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    started = await _prepare(start, settings, database, url)
    registry = create_registry()
    async with AsyncExitStack() as stack:
        site = Site(database, url, settings.database_pool_size, is_shared=postgres is None)
        house = await composition.build(tuple(composition.SERVICES), site, registry=registry, stack=stack)
        server = _Server(build_app(house, registry, house.services))
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, 20, 20)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            watching = group.create_task(_keep(postgres)) if postgres else None
            housekeeping = asyncio.Event()
            running = group.create_task(house.run(housekeeping))
            await _until_ready(house, stopped)
            announce(started)
            await stopped.wait()
            log.info("stopping")
            server.should_exit = True
            await serving
            housekeeping.set()
            await running
            if watching:
                watching.cancel()


async def _prepare(start: Start, settings: StandaloneSettings, database: str, url: str) -> Started:
    """Brings the database up to date, and puts the accord and the first key there."""
    given = start.accord.read_text(encoding="utf-8") if start.accord else None
    await upgrade(database)
    connection = await asyncpg.connect(dsn(database), **connect_options("accord-start"))
    try:
        text = given
        if text is None and await connection.fetchval("SELECT NOT EXISTS (SELECT FROM api.published_accords)"):
            text = default_accord_text()
        if text is not None:
            await bootstrap_accord(connection, text)
        row = await connection.fetchrow(
            "SELECT version, document::text FROM api.published_accords ORDER BY version DESC LIMIT 1"
        )
        preset = settings.admin_key.get_secret_value() if settings.admin_key else None
        return Started(
            url=url,
            admin_key=await ensure_admin_key(connection, preset),
            accord_version=row["version"],
            not_yet_executed=not_yet_executed(load_accord(row["document"])),
        )
    finally:
        await connection.close()


async def _until_ready(house: House, stopped: asyncio.Event) -> None:
    while not house.readiness()[0] and not stopped.is_set():  # noqa: ASYNC110 (what is ready sets no event)
        await asyncio.sleep(0.01)


async def _keep(postgres: EmbeddedPostgres) -> None:
    """Starts Postgres again when it has died: on this thread, as the kernel demands. HTTP answers 503 meanwhile."""
    while True:
        await asyncio.sleep(POSTGRES_CHECK_SECONDS)
        if not postgres.is_running:
            log.error("postgres_died")
            await postgres.start_again()


def _stop_on_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    return stopped


class _Server(uvicorn.Server):
    """uvicorn, stopped by this process and not by signals of its own."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                limit_concurrency=CONNECTIONS_MAX,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _write_address(data: Path, database_url: str) -> None:
    """For operators: `accord resume` and psql find the database of this folder here. It holds a password."""
    path = data / ADDRESS_FILE
    path.touch(mode=0o600)
    path.write_text(database_url + "\n")


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    with (data / "accord.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(f"another Accord is using {data}") from None
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1_024)
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {host} port {port} ({error.strerror}); --host and --port name another"
        ) from None
    with listener:
        yield listener
