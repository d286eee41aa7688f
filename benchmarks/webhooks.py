"""Signed webhooks at `accord run ingest`, each durable before it is answered, beside a bare route that only verifies.

CPU time is that of the server's own process; Postgres has a process tree of its own.
"""

import asyncio
import hmac
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks.broken import Broken
from benchmarks.child import Child
from benchmarks.http_client import Connection
from benchmarks.numbers import summary_ms
from benchmarks.processes import cpu_seconds, peak_bytes
from shared.clock import new_id
from shared.secret_box import SecretBox, new_secret_key
from shared.source_secrets import Secret, write

HOST: Final = "127.0.0.1"
SECRET: Final = "benchmark"  # noqa: S105
CONNECTIONS: Final = 32
BATCH: Final = 100
READY_SECONDS: Final = 60
ADD_SOURCE: Final = """INSERT INTO api.sources (source_id, name, kind, team, secret, settings)
VALUES ($1, 'bench', 'generic', 'marketing', $2, '{"auth": {"type": "hmac"}}')"""


@dataclass(frozen=True)
class Turn:
    """One round of one contestant."""

    per_second: float
    cpu_us_per_event: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Site:
    """A server that takes signed webhooks."""

    pid: int
    port: int
    path: str

    def request(self, body: bytes) -> bytes:
        signature = hmac.digest(SECRET.encode(), body, "sha256").hex()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {HOST}\r\nX-Signature: {signature}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@contextmanager
def sites(database_url: str, log: Path, *, profile: Path | None = None) -> Iterator[tuple[Site, Site]]:
    """The bare route, and ingest with one source. Blocks; from the main thread."""
    environment = {"ACCORD_DATABASE_URL": database_url, "ACCORD_SECRET_KEY": (key := new_secret_key())}
    environment["ACCORD_INGEST_SOURCE_RATE_REQUESTS_PER_SECOND"] = "1000000"
    _migrate(environment, log)
    source_id = asyncio.run(_add_source(database_url, SecretBox(key)))
    bare_port, port = _free_port(), _free_port()
    module = ("benchmarks.profiled", str(profile)) if profile else ("services.cli",)
    commands = [
        [sys.executable, "-m", "benchmarks.bare", str(bare_port), SECRET],
        [sys.executable, "-m", *module, "run", "ingest", "--port", str(port)],
    ]
    with ExitStack() as stack:
        bare, ingest = (stack.enter_context(Child(command, log, environment)) for command in commands)
        _await(bare, bare_port)
        _await(ingest, port)
        yield Site(bare.pid, bare_port, "/hook"), Site(ingest.pid, port, f"/v1/hooks/{source_id}")


async def turn(site: Site, bodies: Sequence[bytes], events: int) -> Turn:
    """Posts them all over so many connections, each the next one as soon as it is answered."""
    connections = [await Connection.open(HOST, site.port) for _ in range(CONNECTIONS)]
    requests = iter([site.request(body) for body in bodies])
    seconds: list[float] = []
    cpu, began = cpu_seconds(site.pid), time.monotonic()
    await asyncio.gather(*(_post(connection, requests, seconds) for connection in connections))
    took, cpu = time.monotonic() - began, cpu_seconds(site.pid) - cpu
    for connection in connections:
        connection.close()
    summary = summary_ms(seconds)
    return Turn(events / took, cpu / events * 1_000_000, summary["p50_ms"], summary["p99_ms"])


def singles(count: int) -> list[bytes]:
    return [json.dumps(event).encode() for event in _events(count)]


def batches(count: int) -> list[bytes]:
    """Of a hundred events each."""
    return [json.dumps(list(_events(BATCH))).encode() for _ in range(count)]


async def measure(
    bare: Site, ingest: Site, *, events: int, rounds: int, tell: Callable[[str], None]
) -> dict[str, list[Turn]]:
    """All take turns; a first round warms up."""
    found: dict[str, list[Turn]] = {"bare": [], "singles": [], "batches": []}
    for number in range(rounds + 1):
        count = events if number else events // 10
        in_batches = max(count // BATCH * 5, 10)
        turns = {
            "bare": await turn(bare, singles(count), count),
            "singles": await turn(ingest, singles(count), count),
            "batches": await turn(ingest, batches(in_batches), in_batches * BATCH),
        }
        if number:
            for name, one in turns.items():
                found[name].append(one)
            said = ", ".join(f"{name} {one.per_second:,.0f}/s" for name, one in turns.items())
            tell(f"webhooks, round {number} of {rounds}: {said}")
    return found


async def soak(ingest: Site, minutes: float, tell: Callable[[str], None]) -> list[tuple[float, int]]:
    """Posts for so long; the largest resident size of the process after each twentieth of it."""
    looks: list[tuple[float, int]] = []
    began = time.monotonic()
    while (passed := (time.monotonic() - began) / 60) < minutes:
        slice_ends = (len(looks) + 1) * minutes / 20
        while (time.monotonic() - began) / 60 < slice_ends:
            await turn(ingest, [*singles(2_000), *batches(20)], 4_000)
        looks.append((round(passed, 2), resident_bytes(ingest.pid)))
        tell(f"soak: {looks[-1][0]:.1f} of {minutes:g} min, resident {looks[-1][1] / 2**20:.1f} MiB")
    return looks


def resident_bytes(pid: int) -> int:
    """What the process holds now; its peak where that can't be read."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return peak_bytes(pid)
    return pages * 4_096


def _events(count: int) -> Iterator[dict[str, Any]]:
    for _ in range(count):
        id = new_id()
        yield {
            "type": "Whitepaper Downloaded",
            "id": str(id),
            "occurred_at": "2026-11-22T09:30:00Z",
            "lead": {"email": f"lead{id.int % 5_000}@okapi.example"},
            "data": {"title": "How to choose", "pages": 12, "url": "https://okapi.example/library/how-to-choose"},
        }


async def _post(connection: Connection, requests: Iterator[bytes], seconds: list[float]) -> None:
    for request in requests:
        began = time.monotonic()
        answer = await connection.send(request)
        seconds.append(time.monotonic() - began)
        if answer.status != 200:
            raise Broken(f"a webhook was answered {answer.status}: {answer.body[:500]!r}")


async def _add_source(database_url: str, box: SecretBox) -> str:
    connection = await asyncpg.connect(database_url)
    try:
        source_id = new_id()
        await connection.execute(ADD_SOURCE, source_id, box.seal(write((Secret(SECRET),))))
    finally:
        await connection.close()
    return str(source_id)


def _migrate(environment: dict[str, str], log: Path) -> None:
    with Child([sys.executable, "-m", "services.cli", "migrate"], log, environment) as migrating:
        try:
            if migrating.wait(READY_SECONDS) != 0:
                raise Broken(f"accord migrate failed: {migrating.said()}")
        except subprocess.TimeoutExpired:
            raise Broken(f"accord migrate took longer than {READY_SECONDS} s") from None


def _await(child: Child, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        child.check()
        try:
            socket.create_connection((HOST, port), 1).close()
            break
        except OSError:
            if time.monotonic() > deadline:
                raise Broken(f"nothing listens on {port}: {child.said()}") from None
            time.sleep(0.1)
    time.sleep(2)  # until it holds its lane


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port
