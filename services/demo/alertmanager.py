"""Alertmanager where one is installed: run for the demo on a free port, asked what fires there, ended with the demo."""

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import aiohttp

from services.demo.settings import HOST, LOG_LINES_SHOWN, REQUEST_SECONDS, STOP_SECONDS
from shared.children import end, ending_with_us
from shared.errors import AccordError

_NAMES: Final = ("prometheus-alertmanager", "alertmanager")  # Debian's name, and that of Prometheus' own builds
_START_SECONDS: Final = 30.0  # counted from when Accord is ready
# Nobody is notified: people look at the alerts themselves.
_CONFIG: Final = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


class AlertmanagerUnusable(AccordError):
    """Alertmanager is installed, but does not run or does not answer."""


class Alertmanager:
    """One Alertmanager with a temporary folder of its own. `session` is shared and closed by its owner."""

    def __init__(self, session: aiohttp.ClientSession, binary: str) -> None:
        self._session = session
        self._binary = binary
        self._folder = Path(tempfile.mkdtemp(prefix="accord-demo-alertmanager-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Like Accord it has a session of its own, so that Ctrl-C leaves it to the demo to end it."""
        config = self._folder / "alertmanager.yml"
        config.write_text(_CONFIG)
        address = f"{HOST}:{_free_port()}"
        self.url = f"http://{address}"
        arguments = [f"--config.file={config}", f"--storage.path={self._folder / 'data'}", "--cluster.listen-address="]
        where = [f"--web.listen-address={address}", f"--web.external-url={self.url}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*ending_with_us(signal.SIGINT), self._binary, *arguments, *where],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def wait_until_ready(self) -> None:
        """Raises AlertmanagerUnusable with the end of its log when it does not get ready."""
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while True:
            self.check()
            try:
                async with self._session.get(f"{self.url}/-/ready", timeout=_timeout()) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass  # it does not listen yet
            if asyncio.get_running_loop().time() > deadline:
                raise AlertmanagerUnusable(f"{self._binary} was not ready within {_START_SECONDS:g} s:\n{self._said()}")
            await asyncio.sleep(0.05)

    async def firing(self) -> list[dict[str, Any]]:
        """The alerts that fire there now, as its own API tells them."""
        try:
            async with self._session.get(f"{self.url}/api/v2/alerts", timeout=_timeout()) as response:
                response.raise_for_status()
                alerts: list[dict[str, Any]] = await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.check()
            raise AlertmanagerUnusable(f"{self._binary} did not tell its alerts: {error!r}") from error
        return alerts

    def check(self) -> None:
        """Raises AlertmanagerUnusable with the end of its log when it is no more."""
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            raise AlertmanagerUnusable(f"{self._binary} ended with exit code {code}:\n{self._said()}")

    def stop(self) -> None:
        """Ends it, by force when it takes too long, and removes its folder. Blocks."""
        process, self._process = self._process, None
        if process is not None:
            end(process, STOP_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self._folder / "alertmanager.log"

    def _said(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


def find_alertmanager() -> str | None:
    """The path of an installed Alertmanager; None where there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def _timeout() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=REQUEST_SECONDS)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
