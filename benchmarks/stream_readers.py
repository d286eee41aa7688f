"""`python -m benchmarks.stream_readers`: many readers of `GET /v1/stream` on one `accord up`, from post to receipt.

Prints JSON. All share the machine's CPUs; the readers are one process of their own connections.
"""

import argparse
import asyncio
import json
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import uvloop

from benchmarks.broken import Broken
from benchmarks.numbers import summary_ms
from benchmarks.processes import cpu_seconds, peak_bytes
from services.demo.process import AccordProcess
from services.demo.settings import ACCORD
from shared.telemetry.logging import configure_logging

READY_SECONDS = 120.0
PATIENCE_SECONDS = 60.0
_EMAIL = re.compile(rb'"email":"(lead[0-9]+)@')


class Reader(asyncio.Protocol):
    """One connection; notes when each lead's event came."""

    def __init__(self, request: bytes, posted: dict[bytes, float], latencies: list[float]) -> None:
        self._request = request
        self._posted = posted
        self._latencies = latencies
        self._rest = b""
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.is_open = True
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data: ") and (found := _EMAIL.search(line)):
                self._latencies.append(now - self._posted[found[1]])


async def _measure(address: str, key: str, pid: int, options: argparse.Namespace) -> dict[str, Any]:
    where = urlsplit(address)
    assert where.hostname is not None
    assert where.port is not None
    request = (
        f"GET /v1/stream?types=accord.lead.qualified HTTP/1.1\r\nhost: {where.netloc}\r\n"
        f"authorization: Bearer {key}\r\n\r\n"
    ).encode()
    posted: dict[bytes, float] = {}
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    readers = []
    for _ in range(options.readers):
        _, reader = await loop.create_connection(lambda: Reader(request, posted, latencies), where.hostname, where.port)
        readers.append(reader)
    await _until(lambda: all(reader.is_open for reader in readers), lambda: "not all readers were let in")
    spent = cpu_seconds(pid)
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as client:
        for number in range(options.leads):
            name = f"lead{number}"
            lead = {"email": f"{name}@acme.example"}
            event = {"type": "demo.requested", "lead": lead, "profile": {"title": "CTO", "employees": 500}}
            posted[name.encode()] = time.monotonic()
            async with client.post(f"{address}/v1/events", json=event) as answer:
                answer.raise_for_status()
            await asyncio.sleep(1 / options.per_second)
    wanted = options.readers * options.leads
    await _until(lambda: len(latencies) >= wanted, lambda: f"{len(latencies)} of {wanted} events were received")
    return {
        "readers": options.readers,
        "events": options.leads,
        "received": len(latencies),
        "post_to_receipt": summary_ms(latencies),
        "cpu_seconds": round(cpu_seconds(pid) - spent, 2),
        "peak_bytes": peak_bytes(pid),
    }


async def _until(holds: Callable[[], bool], else_: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise Broken(else_())
        await asyncio.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream_readers")
    parser.add_argument("--readers", type=int, default=2_000)
    parser.add_argument("--leads", type=int, default=50)
    parser.add_argument("--per-second", type=float, default=5.0)
    options = parser.parse_args()
    configure_logging("error", "auto")
    folder = Path(tempfile.mkdtemp(prefix="accord-bench-"))
    folder.chmod(0o755)
    key = f"acc_bench_{secrets.token_hex(16)}"
    accord = AccordProcess(folder, accord=ACCORD, environment={"ACCORD_ADMIN_KEY": key})
    accord.start()
    try:
        deadline = time.monotonic() + READY_SECONDS
        while (address := accord.address()) is None:
            if time.monotonic() > deadline:
                raise Broken("accord up was not ready")
            time.sleep(0.1)
        found = uvloop.run(_measure(address, key, accord.pid, options))
    finally:
        accord.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
