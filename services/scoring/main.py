"""Wires scoring."""

from services.scoring.handler import ScoringHandler
from services.scoring.metrics import Metrics
from services.scoring.store import PostgresStore
from shared.lifecycle import Resources, Service


def wire(resources: Resources) -> Service:
    """The service `scoring`. Each partition has its own handler, which keeps the states of hot leads."""
    store, metrics = PostgresStore(), Metrics(resources.registry)
    return Service("scoring", handler=lambda partition: ScoringHandler(resources.accords, store, metrics), at_once=True)
