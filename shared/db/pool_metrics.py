"""How many connections of the shared pool are used, asked of the pool when metrics are scraped."""

from typing import Any

from prometheus_client import CollectorRegistry, Gauge


def watch_pool(pool: Any, registry: CollectorRegistry) -> None:
    """Registers the gauges of this pool. A closed pool has no connections."""
    connections = Gauge(
        "accord_db_pool_connections", "Connections of the shared pool, used or idle", ("state",), registry=registry
    )
    connections.labels("used").set_function(lambda: pool.get_size() - pool.get_idle_size())
    connections.labels("idle").set_function(lambda: pool.get_idle_size())
    most = Gauge("accord_db_pool_connections_max", "Connections that the shared pool may open", registry=registry)
    most.set(pool.get_max_size())
