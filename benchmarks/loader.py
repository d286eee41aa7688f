"""The benchmark's handle on the load generator's process."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from benchmarks.broken import Broken
from benchmarks.load import Plan

READY_SECONDS = 120
LINE_BYTES_MAX = 64 * 1024 * 1024


class Loader:
    """A generator that has built its bodies and waits for `go`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def go(self, patience_seconds: float) -> dict[str, Any]:
        """Lets it post; returns what it measured. Raises Broken when it fails or takes longer than the patience."""
        assert self._process.stdin
        self._process.stdin.write(b"go\n")
        found: dict[str, Any] = json.loads(await _line(self._process, patience_seconds))
        return found


@asynccontextmanager
async def loader(plan: Plan) -> AsyncIterator[Loader]:
    """Starts it and waits until it is ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    assert process.stdin
    try:
        process.stdin.write(json.dumps(asdict(plan)).encode() + b"\n")
        await _line(process, READY_SECONDS)
        yield Loader(process)
    finally:
        if process.returncode is None:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _line(process: asyncio.subprocess.Process, patience_seconds: float) -> bytes:
    assert process.stdout
    try:
        line = await asyncio.wait_for(process.stdout.readline(), patience_seconds)
    except TimeoutError:
        raise Broken(f"the load generator said nothing for {patience_seconds:.0f} s") from None
    if not line:
        raise Broken("the load generator failed; what it said stands above")
    return line
