"""One `accord up` that can be killed, frozen and asked how it is; on a Postgres of its own, or on the one named."""

import asyncio
import os
import random
import re
import signal
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import aiohttp
import asyncpg
from builders import eventually
from line_audit import assert_line_is_whole, is_quiet

from services.audit.run import Audit
from services.demo.process import AccordProcess
from shared.db.data_folder import ADDRESS_FILE
from shared.events.envelope import Event, Outgoing
from shared.events.topics import ACTIVITY, TOPICS
from shared.secret_box import new_secret_key
from shared.stream.handover import Handover
from shared.stream.log import PostgresCarrier
from shared.stream.setup import initialise

ACCORD = Path(__file__).with_name("chaos.yaml")
KEY = "acc_chaos_a-secret-of-the-tests"
START_SECONDS = 60.0
LOG_CHARACTERS_SHOWN = 20_000
QUIET_SECONDS = 45.0
SECRET_KEY = new_secret_key()
# Below the range of outgoing connections: a client that tries a closed port there may connect to itself.
_PORTS = range(12_000, 15_000)


class ChaosHouse:
    """The process, its address (which stays the same over restarts) and its database."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        folder.mkdir(mode=0o755, exist_ok=True)
        self.folder = folder
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._database_url = database_url
        self._is_started = False
        environment = {"ACCORD_ADMIN_KEY": KEY, "ACCORD_LOG_FORMAT": "json"}
        if database_url is not None:
            # Processes that share a database share what its secrets are sealed with.
            environment |= {"ACCORD_DATABASE_URL": database_url, "ACCORD_SECRET_KEY": SECRET_KEY}
        self.process = AccordProcess(folder, accord=ACCORD, environment=environment, port=port)

    @property
    def database_url(self) -> str:
        return self._database_url or (self.folder / ADDRESS_FILE).read_text().strip()

    async def start(self) -> None:
        self.process.start()
        self._is_started = True
        await eventually(lambda: self.process.address() is not None, within=START_SECONDS)

    def end(self) -> None:
        """Whatever state it is in."""
        if self._is_started:
            # A frozen process can't be asked to stop, and one that is gone can't be thawed.
            with suppress(ProcessLookupError):
                self.thaw()
                self.process.stop()

    def log(self) -> str:
        """The end of what it said."""
        return self.process.log.read_text(errors="replace")[-LOG_CHARACTERS_SHOWN:] if self._is_started else ""

    def postmaster(self) -> int:
        """The process id of its own Postgres; 0 while there is none."""
        try:
            return int((self.folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, IndexError):
            return 0

    def kill_postgres(self) -> int:
        """As the kernel does when memory is short. Returns who it was."""
        pid = self.postmaster()
        assert pid, "its Postgres does not run"
        os.kill(pid, signal.SIGKILL)
        return pid

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    async def metric(self, session: aiohttp.ClientSession, name: str, **labels: str) -> float:
        """The sum of a metric's values with these labels."""
        async with session.get(f"{self.url}/metrics") as response:
            text = await response.text()
        lines = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        return sum(float(value) for given, value in lines if wanted <= set(given.split(",")))

    async def run(self, *arguments: str) -> tuple[int, str]:
        """One `accord` command; its exit code and what it said."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", *arguments),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await command.communicate()
        return command.returncode or 0, said.decode()

    async def audit(self, accepted: Collection[UUID]) -> Audit:
        """Waits until everything was read and every promise ended, then looks at everything."""
        connection = await asyncpg.connect(self.database_url)
        try:
            await eventually(lambda: is_quiet(connection), within=QUIET_SECONDS)
        finally:
            await connection.close()
        return await assert_line_is_whole(self.database_url, accepted)

    async def ask(self, statement: str) -> Sequence[Mapping[str, object]]:
        connection = await asyncpg.connect(self.database_url)
        try:
            rows: Sequence[Mapping[str, object]] = await connection.fetch(statement)
            return rows
        finally:
            await connection.close()

    async def emit(self, events: Sequence[Event]) -> None:
        """Puts events on the topic of activities in one commit, as an emitter does that checks nothing."""
        async with asyncpg.create_pool(self.database_url, min_size=1, max_size=2) as pool:
            async with pool.acquire() as connection:
                partitions, names = await initialise(connection, topics=TOPICS, partitions=None, default=0)
            carrier = PostgresCarrier(
                pool=pool,
                connect=lambda: asyncpg.connect(self.database_url),
                partitions=partitions,
                names=names,
                handover=Handover(),
            )
            claim = await carrier.claim_lane("api")
            try:
                async with claim.step(claim.positions, claim.breaker) as transaction:
                    await transaction.emit([Outgoing(ACTIVITY, event) for event in events])
            finally:
                await claim.release()


def _free_port() -> int:
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
