"""Wires stages."""

from services.stages.handler import StagesHandler
from services.stages.metrics import Metrics
from services.stages.store import PostgresStore
from shared.events.topics import LIFECYCLE
from shared.lifecycle import Resources, Service
from shared.stream.erasing import ErasingHandler, Erasure, erasing_forgetful


def wire(resources: Resources) -> Service:
    """The service `stages`. Each partition has its own handler, which keeps the states of hot leads."""
    store, metrics = PostgresStore(), Metrics(resources.registry)

    erasure = Erasure("stages", "stages", forward=LIFECYCLE, keeps_ids=True)

    def handler(partition: int) -> ErasingHandler:
        inner = StagesHandler(resources.accords, store, metrics=metrics, clock=resources.clock)
        return erasing_forgetful(inner, erasure)

    return Service("stages", handler=handler, at_once=True)
