"""One Kafka node: its process, its data folder, its two ports. Ends with the thread that started it."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.kafka.jars import Kafka, KafkaUnusable
from deploy.kafka.storage import format_storage

# A few are enough, but not on a machine that is busy with other things.
START_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_CALL_MILLISECONDS: Final = 5_000
# Below the kernel's range for outgoing connections: a client that reconnects can't take the port meanwhile.
_PORTS: Final = range(15_000, 32_000)

# Asks the kernel for SIGKILL at the parent's death, then becomes the command.
_SHIM: Final = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Node:
    """A broker and controller in one. `spawn` then `answers`; after an end of whatever kind, the same again."""

    def __init__(self, kafka: Kafka, number: int, folder: Path, java_options: Sequence[str]) -> None:
        self.number = number
        self.port = free_port()
        self.controller_port = free_port()
        self.secure_port = free_port()
        self._kafka = kafka
        self._folder = folder
        self._java_options = tuple(java_options)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_paused = False

    @property
    def address(self) -> str:
        """Where clients find it; the same after each start."""
        return f"127.0.0.1:{self.port}"

    @property
    def voter(self) -> str:
        """How the controllers' quorum names it."""
        return f"{self.number}@127.0.0.1:{self.controller_port}"

    @property
    def secure_address(self) -> str:
        """Where clients find its listener SECURE, if its settings map one."""
        return f"127.0.0.1:{self.secure_port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise KafkaUnusable(f"Kafka node {self.number} does not run")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """False once the process has ended, whoever ended it; a paused one runs."""
        return self._process is not None and self._process.poll() is None

    def prepare(self, cluster_id: str, settings: Mapping[str, str]) -> None:
        """Writes its configuration and formats its storage, if that was not done before."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # A map that names SECURE has a third listener, for clients that prove who they are.
        is_secure = "SECURE:" in settings["listener.security.protocol.map"]
        secure = f",SECURE://{self.secure_address}" if is_secure else ""
        mine = {
            "node.id": str(self.number),
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self.controller_port}{secure}",
            "advertised.listeners": f"PLAINTEXT://{self.address}{secure}",
            "log.dirs": str(self._folder / "data"),
        }
        lines = (f"{name}={value}\n" for name, value in {**settings, **mine}.items())
        self._configuration.write_text("".join(lines))
        format_storage(self._kafka, self._folder / "data", cluster_id=cluster_id, node=self.number)

    def spawn(self) -> None:
        """Starts the process and returns at once."""
        if threading.current_thread() is not threading.main_thread():
            raise KafkaUnusable("a Kafka node must be started from the main thread: it ends with its thread")
        if self.is_running:
            return
        with (self._folder / "kafka.log").open("ab") as log:
            self._process = subprocess.Popen(
                _ending_with_us([*self._kafka.command(*self._java_options), "kafka.Kafka", str(self._configuration)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )

    async def answers(self, nodes: int = 1) -> None:
        """Returns once this node answers clients and says that so many nodes are in the cluster."""
        deadline = time.monotonic() + START_SECONDS
        while not await self._lists(nodes):
            if not self.is_running:
                raise KafkaUnusable(f"Kafka node {self.number} ended: {self.said()}")
            if time.monotonic() > deadline:
                raise KafkaUnusable(f"Kafka node {self.number} did not answer in {START_SECONDS:.0f} s: {self.said()}")
            await asyncio.sleep(_POLL_SECONDS)

    def wait(self, nodes: int = 1) -> None:
        """`answers` for code without an event loop (and, blocking, for code with one)."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(self.answers(nodes))).result()

    def stop(self) -> None:
        """Ends it as an administrator would: it says goodbye to the cluster and closes its files."""
        self.resume()
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9, and returns when the process is gone."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: alive for the kernel, silent for everyone else. Returns when the last of its threads has stopped."""
        if self._is_paused:
            return
        os.kill(self.pid, signal.SIGSTOP)
        # Looked at first, so that an end stays to be told to the process's own object.
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG)
        self._is_paused = True

    def resume(self) -> None:
        """SIGCONT; harmless to one that was not paused."""
        self._is_paused = False
        if self.is_running:
            os.kill(self.pid, signal.SIGCONT)

    def said(self) -> str:
        """The end of its log."""
        log = self._folder / "kafka.log"
        return log.read_text(errors="replace").strip()[-4000:] if log.exists() else ""

    @property
    def _configuration(self) -> Path:
        return self._folder / "server.properties"

    async def _lists(self, nodes: int) -> bool:
        with socket.socket() as probe:  # cheaper than a client, which would also log that nobody is there
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=_CALL_MILLISECONDS)
        try:
            await admin.start()
            cluster = await admin.describe_cluster()
        except (KafkaError, OSError):
            return False
        finally:
            await admin.close()
        return len(cluster["brokers"]) >= nodes

    def _end(self, number: signal.Signals) -> None:
        process, self._process, self._is_paused = self._process, None, False
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            return
        process.kill()
        process.wait()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def _ending_with_us(command: Sequence[str]) -> list[str]:
    """SIGKILL, because a node that was paused would sleep through anything gentler for ever."""
    if setpriv := shutil.which("setpriv"):
        return [setpriv, "--pdeathsig", "KILL", "--", *command]
    return [sys.executable, "-I", "-S", "-c", _SHIM, str(os.getpid()), *command]
