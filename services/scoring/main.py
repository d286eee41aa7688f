"""Wires scoring."""

from services.scoring.handler import ScoringHandler
from services.scoring.metrics import Metrics
from services.scoring.store import PostgresStore
from shared.lifecycle import Resources, Service


def wire(resources: Resources) -> Service:
    """The service `scoring`: every partition shares its one handler, which keeps nothing between batches."""
    handler = ScoringHandler(resources.accords, PostgresStore(), Metrics(resources.registry))
    return Service("scoring", handler=lambda partition: handler)
