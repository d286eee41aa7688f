"""The HTTP side of a process: the routes of its services, health and metrics, and one way of saying what went wrong."""

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from services.composition import House
from shared.http.direct import Direct
from shared.http.health import health_routes
from shared.http.problems import install_problem_handlers
from shared.http.trace import Traceparent
from shared.lifecycle import Service
from shared.telemetry.metrics import metrics_route


def build_app(house: House, registry: CollectorRegistry, services: Sequence[Service]) -> ASGIApp:
    """One app for everything that this process serves."""

    async def readiness() -> tuple[bool, dict[str, object]]:
        return house.readiness()

    app = FastAPI(title="Accord", version=version("accord"), redoc_url=None)
    app.router.routes.extend([*health_routes(readiness), metrics_route(registry)])
    for service in services:
        app.router.routes.extend([*service.routes, *service.direct_routes])
    install_problem_handlers(app)
    app.add_middleware(Traceparent)
    return Direct(app, [route for service in services for route in service.direct_routes])
