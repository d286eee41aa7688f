"""`accord up` as a child process with a folder of its own: start it, find its address, end it. Also used by tests.

Start it from the main thread: where the kernel can, it ends the child when the thread that started it ends.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from services.demo.settings import HOST, LOG_FILE, LOG_LINES_SHOWN, STOP_SECONDS
from shared.children import end, ending_with_us
from shared.errors import AccordError

_ADDRESS = re.compile(r"Accord is up: (http://\S+)")
# What a demo may take over from the shell that it runs in: never a database, an address or a key.
_INHERITED = ("ACCORD_POSTGRES_BIN",)


class AccordEnded(AccordError):
    """`accord up` ended by itself."""


class AccordProcess:
    """One `accord up`. It has a session of its own, so that Ctrl-C reaches only the demo, which ends it in order."""

    def __init__(self, folder: Path, *, accord: Path, environment: Mapping[str, str], port: int = 0) -> None:
        self._folder = folder
        self._arguments = ["up", "--data", str(folder), "--host", HOST, "--port", str(port), "--accord", str(accord)]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self.log = folder / LOG_FILE

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ACCORD_") or k in _INHERITED}
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [*ending_with_us(signal.SIGINT), sys.executable, "-m", "services.cli", *self._arguments],
                env={**inherited, "PYTHONUNBUFFERED": "1", **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def address(self) -> str | None:
        """Where it listens, once it is ready. Raises AccordEnded with the end of its log when it is no more."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            found = _ADDRESS.search(log.read().decode(errors="replace"))
        self.check()
        return found[1] if found else None

    def check(self) -> None:
        """Raises AccordEnded with the end of its log when it is no more."""
        if self._process is not None and self._process.poll() is not None:
            raise AccordEnded(f"`accord up` ended with exit code {self._process.returncode}:\n{self.last_lines()}")

    def last_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])

    def stop(self) -> int:
        """Ends it as Ctrl-C does, or by force when it takes too long. Returns its exit code. Blocks."""
        if self._process is None:
            return 0
        if not end(self._process, STOP_SECONDS):
            raise AccordError(f"`accord up` did not end within {STOP_SECONDS:g} s:\n{self.last_lines()}")
        return self._process.returncode

    def kill(self) -> None:
        """As a crash does; its Postgres ends with it."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
