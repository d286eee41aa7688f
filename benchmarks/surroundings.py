"""What machine a run was measured on, and what about it makes the numbers less worth."""

import os
import platform
from pathlib import Path
from typing import Any

import asyncpg

from shared.clock import SystemClock


async def surroundings(database_url: str) -> dict[str, Any]:
    """Taken before anything is measured."""
    connection = await asyncpg.connect(database_url)
    try:
        folder, version = (
            await connection.fetchval("SHOW data_directory"),
            await connection.fetchval("SHOW server_version"),
        )
        fsync = await connection.fetchval("SHOW fsync")
    finally:
        await connection.close()
    cpus, load, filesystem = os.cpu_count() or 1, os.getloadavg()[0], _filesystem(Path(folder))
    warnings = []
    if load > cpus / 4:
        warnings.append(f"the machine was busy before the run began (load {load:.1f} on {cpus} CPUs)")
    if filesystem == "tmpfs" or fsync != "on":
        warnings.append("commits weren't durable: the database lies in memory")
    return {
        "at": SystemClock().now().isoformat(),
        "machine": {
            "cpus": cpus,
            "load_before": round(load, 2),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "postgres": version,
            "filesystem": filesystem,
        },
        "warnings": warnings,
    }


def _filesystem(folder: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = {str(path) for path in (folder, *folder.parents)}
    return max(((point, kind) for point, kind in mounts if point in above), key=lambda found: len(found[0]))[1]
