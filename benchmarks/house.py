"""What is measured: a real `accord up` process on a database of its own, its log in Postgres or on Kafka.

The benchmark starts Postgres and the broker itself so that their CPU time and memory can be told from Accord's; Accord
gets their addresses and does everything else as always. Start it all from the main thread.
"""

import asyncio
import http.client
import json
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from benchmarks.broken import Broken
from benchmarks.broker import Broker
from benchmarks.child import Child
from benchmarks.load import Target
from shared.db.embedded import EmbeddedPostgres

_HOST = "127.0.0.1"
_READY_SECONDS = 60


@dataclass(frozen=True)
class House:
    """The running processes, and keys to post and to set up with. `broker` is None where the log lies in Postgres."""

    accord_pid: int
    postgres_pid: int
    database_url: str
    target: Target
    admin: Target
    broker: Broker | None = None

    @property
    def pids(self) -> tuple[int, ...]:
        """Of all processes whose CPU time counts."""
        return (self.accord_pid, self.postgres_pid, *((self.broker.pid,) if self.broker else ()))


def new_database(postgres: EmbeddedPostgres, name: str) -> str:
    """Makes a database and returns its address."""

    async def make() -> None:
        connection = await asyncpg.connect(postgres.dsn)
        try:
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()

    asyncio.run(make())
    return urlunsplit(urlsplit(postgres.dsn)._replace(path=f"/{name}"))


@contextmanager
def running_house(
    postgres: EmbeddedPostgres, folder: Path, log: Path, *, broker: Broker | None = None, profile: Path | None = None
) -> Iterator[House]:
    """Starts it, stops it. With `profile`, Accord runs under cProfile, its times end there."""
    folder.mkdir()
    admin_key = f"acc_bench_{secrets.token_urlsafe(24)}"
    database_url = new_database(postgres, f"bench_{folder.name}")
    admin = Target(_HOST, free_port(), admin_key)
    module = ("benchmarks.profiled", str(profile)) if profile else ("services.cli",)
    command = [sys.executable, "-m", *module, "up", "--data", str(folder), "--port", str(admin.port)]
    environment = {
        "ACCORD_ADMIN_KEY": admin_key,
        "ACCORD_DELIVERY_ALLOWED_NETWORKS": "127.0.0.0/8",
        **where(database_url, broker),
    }
    with Child(command, log, environment) as accord:
        wait_until_ready(accord, admin)
        key = call(admin, "POST", "/v1/keys", {"name": "bench", "role": "marketing", "scopes": ["events:write"]})
        target = Target(_HOST, admin.port, json.loads(key)["key"])
        yield House(accord.pid, postgres.pid, database_url, target, admin, broker)


def where(database_url: str, broker: Broker | None) -> Mapping[str, str]:
    """What Accord is told about its surroundings."""
    return {"ACCORD_DATABASE_URL": database_url, **({"ACCORD_KAFKA": broker.bootstrap} if broker else {})}


def metrics_text(target: Target) -> str:
    """What /metrics says now."""
    return call(target, "GET", "/metrics", None).decode()


def wait_until_ready(accord: Child, target: Target) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        accord.check()
        try:
            call(target, "GET", "/readyz", None)
        except (OSError, Broken):
            time.sleep(0.1)
        else:
            return
    raise Broken(f"accord up was not ready within {_READY_SECONDS} s: {accord.said()}")


def call(target: Target, method: str, path: str, body: dict[str, Any] | None) -> bytes:
    """The body of the answer. Raises Broken when it isn't 2xx."""
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


def free_port() -> int:
    with socket.create_server((_HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
