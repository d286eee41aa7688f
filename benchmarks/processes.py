"""What processes used, as Linux's /proc says it: CPU time of a tree, peak memory."""

import asyncio
import os
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS = 0.5


def tree(pid: int) -> list[int]:
    """The process and everything below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _fields(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found = [pid]
    for parent in found:  # grows while it is read
        found += children[parent]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree; of ended children too, once their parent has waited for them."""
    ticks = sum(int(ticks) for member in tree(pid) for ticks in _fields(member)[11:15])
    return ticks / _TICKS_PER_SECOND


def peak_bytes(pid: int) -> int:
    """The largest resident size that this one process ever had."""
    return _status_bytes(pid, "VmHWM")


def postgres_bytes(pid: int) -> int:
    """Private memory of all of Postgres's processes, and its shared memory once."""
    members = tree(pid)
    private = sum(_status_bytes(member, "RssAnon") for member in members)
    return private + max(_status_bytes(member, "RssShmem") for member in members)


class PeakMemory:
    """The largest that was seen of Postgres, twice a second."""

    def __init__(self) -> None:
        self.bytes = 0

    async def watch(self, pid: int) -> None:
        while True:
            self.bytes = max(self.bytes, postgres_bytes(pid))
            await asyncio.sleep(_SAMPLE_SECONDS)


@asynccontextmanager
async def watched_memory(pid: int) -> AsyncIterator[PeakMemory]:
    """Watches as long as the block lasts."""
    peak = PeakMemory()
    task = asyncio.create_task(peak.watch(pid))
    try:
        yield peak
    finally:
        task.cancel()


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold blanks and brackets; none when it has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _status_bytes(pid: int, name: str) -> int:
    try:
        text = (_PROC / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
