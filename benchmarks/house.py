"""What is measured: a real `accord up` process, and an embedded Postgres with its normal durable settings beside it.

The benchmark starts Postgres itself so that its CPU time and memory can be told from Accord's; Accord gets it as
ACCORD_DATABASE_URL and does everything else as always. Start it from the main thread.
"""

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.broken import Broken
from benchmarks.load import Target
from shared.db.embedded import EmbeddedPostgres

_HOST = "127.0.0.1"
_READY_SECONDS = 60
_STOP_SECONDS = 60


@dataclass(frozen=True)
class House:
    """The running processes, and the key to post with."""

    accord_pid: int
    postgres_pid: int
    database_url: str
    target: Target


@contextmanager
def running_house(data: Path, log: Path, profile: Path | None) -> Iterator[House]:
    """Starts both on an empty folder, stops both. With `profile`, Accord runs under cProfile, its times end there."""
    admin_key = f"acc_bench_{secrets.token_urlsafe(24)}"
    with EmbeddedPostgres(data) as postgres:
        target = Target(_HOST, _free_port(), admin_key)
        module = ("benchmarks.profiled", str(profile)) if profile else ("services.cli",)
        command = [sys.executable, "-m", *module, "up", "--data", str(data), "--port", str(target.port)]
        environment = os.environ | {"ACCORD_DATABASE_URL": postgres.dsn, "ACCORD_ADMIN_KEY": admin_key}
        with log.open("wb") as said:
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            _wait_until_ready(process, target, log)
            key = _call(target, "POST", "/v1/keys", {"name": "bench", "role": "marketing", "scopes": ["events:write"]})
            yield House(process.pid, postgres.pid, postgres.dsn, Target(_HOST, target.port, json.loads(key)["key"]))
        finally:
            _stop(process)


def metrics_text(target: Target) -> str:
    """What /metrics says now."""
    return _call(target, "GET", "/metrics", None).decode()


def _wait_until_ready(process: subprocess.Popen[bytes], target: Target, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            _call(target, "GET", "/readyz", None)
        except (OSError, Broken):
            time.sleep(0.1)
        else:
            return
    raise Broken(f"accord up was not ready within {_READY_SECONDS} s: {log.read_text(errors='replace')[-2_000:]}")


def _call(target: Target, method: str, path: str, body: dict[str, Any] | None) -> bytes:
    headers = {"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(target.host, target.port, timeout=10)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        raise Broken(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
    return content


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server((_HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
