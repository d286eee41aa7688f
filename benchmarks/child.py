"""A process that the benchmark starts, watches and ends by its id."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.broken import Broken
from shared.children import end, ending_with_us

STOP_SECONDS = 60
_SAID_BYTES = 2_000


class Child:
    """`with` starts it and ends it in good order; all it says is appended to its log."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> None:
        # What is set for another Accord in this shell must not reach this one.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("ACCORD_") or name == "ACCORD_POSTGRES_BIN"
        }
        with self._log.open("ab") as said:
            # SIGKILL: one that was paused would sleep through anything gentler.
            self._process = subprocess.Popen(
                [*ending_with_us(signal.SIGKILL), *self._command],
                env={**inherited, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended by itself. Raises subprocess.TimeoutExpired."""
        assert self._process
        return self._process.wait(seconds)

    def stop(self) -> None:
        """As an administrator would; by force when it takes too long."""
        process, self._process = self._process, None
        if process is not None:
            end(process, STOP_SECONDS)

    def kill(self) -> None:
        """kill -9, and returns when it is gone."""
        process, self._process = self._process, None
        assert process
        process.kill()
        process.wait()

    def pause(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def check(self) -> None:
        """Raises Broken, with the end of what it said, when it has ended by itself."""
        if self._process is None or self._process.poll() is not None:
            raise Broken(f"{' '.join(self._command[:5])} … ended: {self.said()}")

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-_SAID_BYTES:]
