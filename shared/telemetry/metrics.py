"""What the metrics of all services share: registry, route, buckets. Each service lists its own in its metrics.py."""

from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

# Seconds of one request, step or statement.
DURATION_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Seconds from a webhook to what it led to; 0.03 is the goal at p99.
LATENCY_SECONDS: Final = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)
# Seconds by which a deadline was announced late; the patience for a lagging line is 30.
LATENESS_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
# Events of one batch.
BATCH_EVENTS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
# Bytes of one payload or body.
SIZE_BYTES: Final = (256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304)


def create_registry() -> CollectorRegistry:
    """A registry with what every process tells: memory, CPU, file descriptors, interpreter, garbage collection."""
    # Without this every counter and histogram has a second series, which says when it was made.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def watch_readiness(is_ready: Callable[[], bool], registry: CollectorRegistry) -> None:
    """Registers a gauge that asks at scrape time."""
    Gauge("accord_process_ready", "1 while /readyz answers 200", registry=registry).set_function(is_ready)


def metrics_route(registry: CollectorRegistry) -> Route:
    """`/metrics` in the format that the scraper asks for; it needs no key and tells nothing personal."""

    async def metrics(request: Request) -> Response:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": media_type})

    return Route("/metrics", metrics)
