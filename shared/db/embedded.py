"""Postgres as a child of Accord: nothing to install, its own folder and password, ends with its parent and after it.

Start it from the main thread: the kernel ends a child when the *thread* that started it ends. It runs in a session of
its own, so that Ctrl-C reaches Accord alone, which stops it last. `ACCORD_DATABASE_URL` replaces all of this.
"""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self
from urllib.parse import quote

import structlog

from shared.db.cluster import DATABASE, PLACES, ROLE, WAL_MB, Cluster
from shared.db.demotion import command_as
from shared.db.postgres_binaries import Binaries, PostgresUnusable, find_binaries
from shared.db.postmaster import POLL_SECONDS, is_ready

_START_SECONDS: Final = 120.0  # after a crash Postgres replays up to max_wal_size first
_STOP_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 0.1
_LOG_BYTES_MAX: Final = 8 * 1024 * 1024
# Below the kernel's range for outgoing connections: a client that reconnects can't take the port meanwhile.
_PORTS: Final = range(15_000, 32_000)
_PASSING: Final = ("pre-existing shared memory block", "could not create any TCP/IP sockets", "lock file")

# Log lines of Postgres carry no statements and no values (they may be personal data).
_SETTINGS: Final[Mapping[str, str]] = {
    "max_wal_size": "4GB",
    "max_connections": "100",
    "checkpoint_timeout": "15min",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "logging_collector": "off",
}

logger = structlog.get_logger(component="embedded_postgres")


class EmbeddedPostgres:
    """One Postgres on DIR/postgres: `start()` gives its address, `stop()` ends it."""

    def __init__(
        self,
        data_dir: Path,
        *,
        binaries: Binaries | None = None,
        settings: Mapping[str, str] | None = None,
        places: Path = PLACES,
        wal_mb: int = WAL_MB,
    ) -> None:
        """`wal_mb` of WAL have their files from the beginning (two files, 8, at least)."""
        self._data_dir = data_dir
        self._binaries = binaries
        sizes = {"shared_buffers": f"{_buffers_mb()}MB", "min_wal_size": f"{wal_mb}MB"}
        self._settings = {**_SETTINGS, **sizes, **(settings or {})}
        self._places = places
        self._wal_mb = wal_mb
        self._cluster: Cluster | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._log_start = 0

    def start(self) -> str:
        """Starts it, having made the cluster if there is none, and returns its address. Blocks, 0.1 to 2 s."""
        for pause_seconds in self._starting():
            time.sleep(pause_seconds)
        return self.dsn

    async def start_again(self) -> str:
        """The same for a running event loop, which goes on meanwhile: after a crash Postgres may need a while."""
        for pause_seconds in self._starting():
            await asyncio.sleep(pause_seconds)
        return self.dsn

    def stop(self) -> None:
        """Ends it: at once for its clients, safely for the data. Does nothing when it doesn't run."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        for number, patience_seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            process.send_signal(number)
            try:
                process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                logger.warning("postgres_stop_overdue", signal=number.name)
            else:
                break
        logger.info("postgres_stopped", exit_code=process.returncode)

    def restart(self) -> str:
        """Ends it, if it still runs, and starts it at the same address."""
        self.stop()
        return self.start()

    @property
    def dsn(self) -> str:
        """`postgresql://accord:…@127.0.0.1:PORT/accord`."""
        if self._cluster is None:
            raise PostgresUnusable("the embedded Postgres was not started")
        return f"postgresql://{ROLE}:{quote(self._cluster.password)}@127.0.0.1:{self._port}/{DATABASE}"

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise PostgresUnusable("the embedded Postgres does not run")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """False once the postmaster has ended, whoever ended it."""
        return self._process is not None and self._process.poll() is None

    @property
    def folder(self) -> Path:
        """Where the cluster really is: DIR/postgres, or what was placed for it."""
        if self._cluster is None:
            raise PostgresUnusable("the embedded Postgres was not started")
        return self._cluster.folder

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _starting(self) -> Iterator[float]:
        """Starts it; gives the seconds to wait before the next look."""
        if threading.current_thread() is not threading.main_thread():
            raise PostgresUnusable("the embedded Postgres must be started from the main thread")
        if self.is_running:
            return
        binaries = self._binaries or find_binaries()
        cluster = self._cluster = Cluster(self._data_dir, binaries, places=self._places, wal_mb=self._wal_mb)
        cluster.prepare()
        self._add_compression(cluster)
        deadline = time.monotonic() + _START_SECONDS
        has_port = self._port != 0
        while True:
            self._port = self._port if has_port else _free_port()
            process = self._process = self._spawn(cluster)
            while process.poll() is None and not is_ready(cluster.folder, process.pid):
                self._refuse_after(deadline, process)
                yield POLL_SECONDS
            if process.poll() is None:
                break
            # A predecessor that is ending, or a port just taken, passes; anything else doesn't.
            if time.monotonic() > deadline or not any(reason in self._said() for reason in _PASSING):
                raise PostgresUnusable(f"Postgres did not start: {self._said()}")
            yield _RETRY_SECONDS
        logger.info("postgres_started", port=self._port, pid=self.pid, version=cluster.binaries.version())

    def _refuse_after(self, deadline: float, process: subprocess.Popen[bytes]) -> None:
        if time.monotonic() > deadline:
            process.send_signal(signal.SIGINT)
            raise PostgresUnusable(f"Postgres was not ready within {_START_SECONDS:.0f} s: {self._said()}")

    def _spawn(self, cluster: Cluster) -> subprocess.Popen[bytes]:
        options = [option for name, value in self._settings.items() for option in ("-c", f"{name}={value}")]
        # No socket ("-k"): a busy step is slower by one, and a stopped owner is not given up (ADR 20).
        where = ("-D", str(cluster.folder), "-h", "127.0.0.1", "-p", str(self._port), "-k", "")
        command = [cluster.binaries.command("postgres"), *where, *options]
        with self._open_log() as log:
            self._log_start = log.tell()
            return subprocess.Popen(
                command_as(cluster.account, command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )

    def _open_log(self) -> BinaryIO:
        path = self._data_dir / "postgres.log"
        if path.exists() and path.stat().st_size > _LOG_BYTES_MAX:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def _said(self) -> str:
        with (self._data_dir / "postgres.log").open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace").strip()

    def _add_compression(self, cluster: Cluster) -> None:
        if "wal_compression" in self._settings:
            return
        command = [cluster.binaries.command("postgres"), "-C", "wal_compression", "-D", str(cluster.folder)]
        try:
            cluster.run([*command, "-c", "wal_compression=lz4"])
            self._settings["wal_compression"] = "lz4"
        except PostgresUnusable:  # built without lz4
            self._settings["wal_compression"] = "on"


def _buffers_mb() -> int:
    """An eighth of the machine's memory, from 128 to 1,024 MB; Postgres takes of it what it has read pages for."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(max(memory_bytes // 8 // 2**20, 128), 1_024)


def _free_port() -> int:
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
