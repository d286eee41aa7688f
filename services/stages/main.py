"""Wires stages."""

from services.stages.handler import StagesHandler
from services.stages.metrics import Metrics
from services.stages.store import PostgresStore
from shared.lifecycle import Resources, Service


def wire(resources: Resources) -> Service:
    """The service `stages`: every partition shares its one handler, which keeps nothing between batches."""
    metrics = Metrics(resources.registry)
    handler = StagesHandler(resources.accords, PostgresStore(), metrics=metrics, clock=resources.clock)
    return Service("stages", handler=lambda partition: handler)
