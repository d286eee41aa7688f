"""Wires stages."""

from services.stages.handler import StagesHandler
from services.stages.metrics import Metrics
from services.stages.store import PostgresStore
from shared.lifecycle import Resources, Service


def wire(resources: Resources) -> Service:
    """The service `stages`. Each partition has its own handler, which keeps the states of hot leads."""
    store, metrics = PostgresStore(), Metrics(resources.registry)

    def handler(partition: int) -> StagesHandler:
        return StagesHandler(resources.accords, store, metrics=metrics, clock=resources.clock)

    return Service("stages", handler=handler, at_once=True)
