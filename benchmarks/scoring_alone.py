"""Scoring alone: what lies on the log until all of it is scored and told; beside a COPY of the rows that this wrote."""

import asyncio
import time

from benchmarks.ceiling import measure_ceiling
from benchmarks.rescore import standing
from benchmarks.scoring_core import history

_SCORED = "SELECT count(*) FROM scoring.history"


async def measure_alone(database_url: str, leads: int, activities: int) -> dict[str, float]:
    """Of leads with so many activities each, in a migrated, empty database: rates in activities/s, CPU s of Python."""
    items = [item for number in range(leads) for item in history(number, activities)]
    async with standing(database_url) as stand:
        await stand.put(items)
        spent, began = time.process_time(), time.perf_counter()
        async with stand.running():
            while await stand.pool.fetchval(_SCORED) < len(items):
                await asyncio.sleep(0.02)
            seconds = time.perf_counter() - began
        spent = time.process_time() - spent
        async with stand.pool.acquire() as connection:
            ceiling = await measure_ceiling(connection, len(items))
    return {
        "per_second": len(items) / seconds,
        "cpu_seconds_per_1000": spent * 1_000 / len(items),
        "ceiling_per_second": ceiling,
    }
