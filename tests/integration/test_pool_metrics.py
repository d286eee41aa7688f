"""What the gauges of the shared pool say, asked at scrape time."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from shared.db.connections import create_pool
from shared.db.pool_metrics import watch_pool


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def _connections(registry: CollectorRegistry) -> dict[str, float | None]:
    name = "accord_db_pool_connections"
    counts = {state: registry.get_sample_value(name, {"state": state}) for state in ("used", "idle")}
    return {**counts, "most": registry.get_sample_value(f"{name}_max")}


async def test_used_and_idle_connections_are_counted_when_asked(database_url: str, registry: CollectorRegistry) -> None:
    pool: Any = await create_pool(database_url, max_size=3)
    watch_pool(pool, registry)
    assert _connections(registry) == {"used": 0, "idle": 1, "most": 3}
    async with pool.acquire(), pool.acquire():
        assert _connections(registry) == {"used": 2, "idle": 0, "most": 3}
    assert _connections(registry) == {"used": 0, "idle": 2, "most": 3}
    await pool.close()
    assert _connections(registry) == {"used": 0, "idle": 0, "most": 3}
