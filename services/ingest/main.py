"""Wires ingest."""

from services.ingest.handler import IngestHandler, Outcome, Submission
from services.ingest.metrics import Metrics
from services.ingest.routes import EventsRoute
from services.ingest.settings import IngestSettings
from services.ingest.sources import SourceBook
from services.ingest.store import IdentityStore
from services.ingest.sweeper import Sweeper
from shared.clock import new_id
from shared.http.auth import KeyRing
from shared.lifecycle import Resources, Service
from shared.stream.lane import LanePublisher

NAME = "ingest"


def wire(resources: Resources) -> Service:
    settings = IngestSettings()
    metrics = Metrics(resources.registry)
    store = IdentityStore()
    handler = IngestHandler(store, metrics, new_id)
    publisher = LanePublisher[Submission, Outcome](
        resources.carrier,
        NAME,
        handler.prepare,
        metrics=resources.stream_metrics,
        weigh=lambda submission: len(submission.events),
        at_once=True,
    )
    keys = KeyRing(resources.pool, resources.clock, tokens=resources.tokens)
    route = EventsRoute(
        keys=keys,
        sources=SourceBook(resources.pool),
        publisher=publisher,
        settings=settings,
        metrics=metrics,
        clock=resources.clock,
    )
    sweeper = Sweeper(store, resources.pool, resources.clock, settings.seen_days, metrics)
    return Service(
        name=NAME,
        direct_routes=route.routes(),
        background=(publisher.run, sweeper.run, keys.run),
        is_ready=lambda: publisher.is_ready,
    )
