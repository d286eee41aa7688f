"""Every service in processes of its own on three brokers and a Postgres of their own: all of it can be broken."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
from builders import eventually
from e2e.apart import ACCORD, KEY, SECRET_KEY, ServiceProcess
from e2e.chaos_traffic import Load, Sender
from line_audit import assert_line_is_whole, is_quiet

from deploy.kafka.jars import Kafka
from deploy.kafka.node import free_port
from deploy.kafka.rig import Rig
from services.audit.run import Audit
from services.carriers import DEFAULT_PARTITIONS
from services.demo.settings import ALLOWED_NETWORKS
from shared.db.embedded import EmbeddedPostgres

# Two of those that take posts, so that one always answers; two that share the partitions of a service.
SERVICES = ("ingest", "ingest", "scoring", "scoring", "stages", "sla-monitor", "delivery", "api")
SESSION_SECONDS = 6
# Between two posts of one client: the broker, Postgres and all processes share a small machine.
SENDER_SECONDS = 0.2
START_SECONDS = 120.0
SETTLE_SECONDS = 90.0
LOG_CHARACTERS_SHOWN = 8_000

OWNERS = "SELECT owner FROM stream.ownership WHERE service = $1 AND kind = 'partition' AND owner IS NOT NULL"
PASSED = "SELECT count(*) FROM stages.history"
BACKLOG = "SELECT coalesce(sum(next_row - 1 - shipped_through), 0)::bigint FROM stream.ownership"


class KafkaHouse:
    """`is_whole` says that the last audit found nothing: the next fault may be made here too."""

    def __init__(self, folder: Path, kafka: Kafka) -> None:
        folder.mkdir(mode=0o755)
        self.is_whole = False
        self.accepted: list[UUID] = []
        self.processes: list[ServiceProcess] = []
        self.rig = Rig(3, kafka=kafka)
        # A process that dies loses nothing that the kernel holds.
        self.postgres = EmbeddedPostgres(folder, settings={"fsync": "off", "max_connections": "200"}, wal_mb=8)
        self._folder = folder

    def prepare(self) -> None:
        """Postgres and the brokers. Blocks, and must be called in the main thread: they end with it."""
        self.postgres.start()
        self.rig.start()

    async def start(self) -> None:
        """Everything else; returns once every process is ready."""
        code, said = await self.command("migrate", "--accord", str(ACCORD), ACCORD_ADMIN_KEY=KEY)
        assert code == 0, said
        for service in SERVICES:
            self.begin(service)
        await self.are_ready()
        self.is_whole = True

    def begin(self, service: str) -> ServiceProcess:
        """One more process of this service; it is not ready yet, and keeps its port for all its lives."""
        name = f"{service}-{sum(process.service == service for process in self.processes)}"
        self.processes.append(ServiceProcess(self._folder, service, name, self._environment(), port=free_port()))
        self.processes[-1].start()
        return self.processes[-1]

    def leave(self, process: ServiceProcess) -> None:
        """Ends one process as an orchestrator does. Blocks."""
        assert process.terminate() == 0
        self.processes.remove(process)

    def end(self) -> None:
        """Whatever state it is in."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.kill()
        self.rig.close()
        self.postgres.stop()

    def of(self, service: str) -> list[ServiceProcess]:
        return [process for process in self.processes if process.service == service]

    @property
    def ingest_urls(self) -> list[str]:
        return [process.url for process in self.of("ingest")]

    async def are_ready(self) -> None:
        """Returns once each process has said where it is."""
        for process in self.processes:
            await eventually(lambda process=process: process.address() is not None, within=START_SECONDS)  # type: ignore[misc]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        connection = await asyncpg.connect(self.postgres.dsn)
        try:
            yield connection
        finally:
            await connection.close()

    async def ask(self, statement: str, *arguments: Any) -> Sequence[Any]:
        async with self.connection() as connection:
            rows: Sequence[Any] = await connection.fetch(statement, *arguments)
            return rows

    async def do(self, statements: str) -> None:
        async with self.connection() as connection:
            await connection.execute(statements)

    async def are_shared_by(self, service: str, *processes: ServiceProcess) -> None:
        """Returns once these, and no others, own the partitions of this service."""
        wanted = {process.pid for process in processes}

        async def own_all() -> bool:
            rows = await self.ask(OWNERS, service)
            return len(rows) == DEFAULT_PARTITIONS and {int(row[0].rpartition("/")[2]) for row in rows} == wanted

        await eventually(own_all, within=SETTLE_SECONDS)

    async def goes_on(self, events: int) -> None:
        """Returns once so many more have passed the line as far as stages."""
        ((before,),) = await self.ask(PASSED)

        async def have_passed() -> bool:
            return bool((await self.ask(PASSED))[0][0] >= before + events)

        await eventually(have_passed, within=SETTLE_SECONDS)

    async def backlog(self) -> int:
        """How many committed rows Kafka has not acknowledged, as far as their owners have noted."""
        ((rows,),) = await self.ask(BACKLOG)
        return int(rows)

    @asynccontextmanager
    async def loaded(self, session: aiohttp.ClientSession, seed: int) -> AsyncIterator[Load]:
        """Posts come in from here to the end; then everything must be whole."""
        sender = Sender(session, KEY, self.ingest_urls)
        async with Load(sender, seed, SENDER_SECONDS) as load:
            await load.goes_on(5)
            yield load
        found = await self.audit(sender.accepted)
        assert found.counts["dead_letters"] == 0

    async def audit(self, accepted: Collection[UUID]) -> Audit:
        """Waits until all was shipped, read and announced, then looks at everything since the house was made."""
        self.accepted += accepted
        await self.is_quiet()
        found = await assert_line_is_whole(self.postgres.dsn, self.accepted)
        for process in self.processes:
            process.check()
        self.is_whole = True
        return found

    async def is_quiet(self) -> None:
        async def quiet() -> bool:
            async with self.connection() as connection:
                return await is_quiet(connection) and await self.backlog() == 0

        await eventually(quiet, within=SETTLE_SECONDS)

    async def command(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """One `accord` command; its exit code and what it said."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", *arguments),
            env={**inherited, **self._environment(), **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await command.communicate()
        return command.returncode or 0, said.decode()

    def logs(self) -> Iterator[tuple[str, str]]:
        """The end of what each process said."""
        for process in self.processes:
            yield process.log.name, process.log.read_text(errors="replace")[-LOG_CHARACTERS_SHOWN:]

    def _environment(self) -> dict[str, str]:
        return {
            "ACCORD_DATABASE_URL": self.postgres.dsn,
            "ACCORD_DATABASE_POOL_SIZE": "4",
            "ACCORD_DELIVERY_ALLOWED_NETWORKS": ALLOWED_NETWORKS,
            "ACCORD_KAFKA": self.rig.bootstrap,
            "ACCORD_KAFKA_SESSION_TIMEOUT_SECONDS": str(SESSION_SECONDS),
            "ACCORD_LOG_FORMAT": "json",
            "ACCORD_SECRET_KEY": SECRET_KEY,
        }


@asynccontextmanager
async def frozen(process: ServiceProcess) -> AsyncIterator[None]:
    """It stands still, and goes on at the end as if nothing had happened."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


async def readiness_of(session: aiohttp.ClientSession, process: ServiceProcess) -> tuple[int, list[str]]:
    """What /readyz answers, and which partitions it names."""
    async with session.get(f"{process.url}/readyz") as response:
        return response.status, (await response.json())["partitions_not_running"]
