"""Services in processes of their own (`accord run`) on one Postgres, started, killed and asked one by one."""

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from builders import eventually
from line_audit import assert_line_is_whole, is_quiet

from services.audit.run import Audit
from services.demo.process import AccordProcess
from services.demo.settings import ALLOWED_NETWORKS, HOST
from shared.secret_box import new_secret_key

ACCORD = Path(__file__).with_name("chaos.yaml")
KEY = "acc_apart_a-secret-of-the-tests"
SECRET_KEY = new_secret_key()
START_SECONDS = 60.0
QUIET_SECONDS = 45.0
LOG_CHARACTERS_SHOWN = 8_000
OWNERS = "SELECT owner FROM stream.ownership WHERE service = $1 AND kind = 'partition' AND owner IS NOT NULL"


class ServiceProcess(AccordProcess):
    """One `accord run`."""

    def __init__(self, folder: Path, service: str, name: str, environment: Mapping[str, str], *, port: int = 0) -> None:
        super().__init__(folder, accord=ACCORD, environment=environment)
        self.service = service
        self._port = port
        self.log = folder / f"{name}.log"
        self._arguments = ["run", service, "--host", HOST, "--port", str(port)]

    @property
    def url(self) -> str:
        """Known before it listens if its port was chosen."""
        if self._port:
            return f"http://{HOST}:{self._port}"
        address = self.address()
        assert address is not None
        return address

    def terminate(self) -> int:
        """As an orchestrator does. Returns the exit code. Blocks."""
        os.kill(self.pid, signal.SIGTERM)
        return self.stop()


class Installation:
    """All processes on one database."""

    def __init__(self, folder: Path, database_url: str, pool: Any) -> None:
        self.pool = pool
        self._folder = folder
        self._database_url = database_url
        self._environment = {
            "ACCORD_DATABASE_URL": database_url,
            "ACCORD_DATABASE_POOL_SIZE": "4",
            "ACCORD_DELIVERY_ALLOWED_NETWORKS": ALLOWED_NETWORKS,
            "ACCORD_LOG_FORMAT": "json",
            "ACCORD_SECRET_KEY": SECRET_KEY,
        }
        self.processes: list[ServiceProcess] = []

    def begin(self, service: str) -> ServiceProcess:
        """Starts one more process of this service; it is not ready yet."""
        name = f"{service}-{len(self.processes)}"
        self.processes.append(ServiceProcess(self._folder, service, name, self._environment))
        self.processes[-1].start()
        return self.processes[-1]

    async def start(self, *services: str) -> list[ServiceProcess]:
        """Returns once all of them are ready."""
        begun = [self.begin(service) for service in services]
        for process in begun:
            await eventually(lambda process=process: process.address() is not None, within=START_SECONDS)  # type: ignore[misc]
        return begun

    def end(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.kill()

    def logs(self) -> Mapping[str, str]:
        """The end of what each said."""
        return {p.log.name: p.log.read_text(errors="replace")[-LOG_CHARACTERS_SHOWN:] for p in self.processes}

    async def command(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """One `accord` command; its exit code and what it said."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", *arguments),
            env={**inherited, "ACCORD_DATABASE_URL": self._database_url, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await command.communicate()
        return command.returncode or 0, said.decode()

    async def shares(self, service: str) -> Counter[int]:
        """How many partitions of this service each process owns, by its id."""
        return Counter(int(row[0].rpartition("/")[2]) for row in await self.pool.fetch(OWNERS, service))

    async def audit(self, accepted: Collection[UUID]) -> Audit:
        """Waits until everything was read and every promise ended, then looks at everything."""
        await eventually(lambda: is_quiet(self.pool), within=QUIET_SECONDS)
        return await assert_line_is_whole(self._database_url, accepted)


async def metric(session: aiohttp.ClientSession, process: ServiceProcess, name: str) -> float:
    """The sum of a metric's values in one process."""
    async with session.get(f"{process.url}/metrics") as response:
        text = await response.text()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))
