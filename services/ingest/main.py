"""Wires ingest."""

from collections.abc import Mapping

from services.ingest.handler import kinds
from services.ingest.handler.commits import IngestHandler, Outcome, Submission
from services.ingest.handler.import_bodies import ImportBodies
from services.ingest.handler.intake import Intake
from services.ingest.metrics import Metrics
from services.ingest.model.notes import Notes
from services.ingest.routes.events import EventsRoute
from services.ingest.routes.hooks import HooksRoute
from services.ingest.routes.hooks import Parts as HookParts
from services.ingest.routes.imports import ImportParts, ImportsRoute
from services.ingest.routes.receiving import Room
from services.ingest.routes.segment import SegmentRoutes
from services.ingest.routes.uploading import UploadParts
from services.ingest.settings import IngestSettings
from services.ingest.sources import ConfiguredBook, SourceBook
from services.ingest.store.identities import IdentityStore
from services.ingest.store.import_erasure import ImportErasureStore
from services.ingest.store.imports import ImportStore
from services.ingest.store.receipts import ReceiptStore
from services.ingest.sweeper.forgetting import Erasures, Forgetting
from services.ingest.sweeper.import_erasure import ImportErasure
from services.ingest.sweeper.importing import Importing, ImportingParts
from services.ingest.sweeper.receipts import Parts as ReceiptParts
from services.ingest.sweeper.receipts import Replaying, Writing
from shared.clock import Clock, new_id
from shared.http.auth import KeyRing
from shared.http.limits import RateLimiter
from shared.lifecycle import Resources, Service
from shared.source_kinds import SourceKind
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
        weigh=lambda submission: len(submission.events) or 1,
        at_once=True,
    )
    keys = KeyRing(resources.pool, resources.clock, tokens=resources.tokens)
    room = Room(settings.in_flight_bytes_max, metrics)
    events = EventsRoute(
        keys=keys,
        sources=SourceBook(resources.pool),
        publisher=publisher,
        settings=settings,
        metrics=metrics,
        clock=resources.clock,
        room=room,
    )
    notes = Notes()
    intake = Intake(publisher, notes, metrics, resources.secret_box.seal)
    hooks = _hook_parts(resources, settings, metrics, intake, room)
    receipts = ReceiptParts(ReceiptStore(), resources.pool, notes, resources.clock, new_id, metrics, settings)
    replaying = Replaying(receipts, intake, hooks.book, resources.secret_box, hooks.public_url)
    bodies = ImportBodies(resources.secret_box)
    imports = ImportsRoute(_import_parts(resources, hooks, keys, bodies))
    importing = Importing(_importing_parts(resources, hooks, publisher, bodies))
    files = ImportErasure(ImportErasureStore(), resources.pool, bodies)
    erasures = Erasures(store, ReceiptStore(), files, resources.secret_box, resources.pool)
    forgetting = Forgetting(store, resources.pool, resources.clock, settings.seen_days, metrics)
    return Service(
        name=NAME,
        routes=imports.routes(),
        direct_routes=(*events.routes(), *HooksRoute(hooks).routes(), *SegmentRoutes(hooks).routes()),
        background=(
            *(publisher.run, importing.run, forgetting.run, erasures.run),
            *(Writing(receipts).run, replaying.run, keys.run),
        ),
        is_ready=lambda: publisher.is_ready,
    )


def source_kinds(clock: Clock) -> Mapping[str, SourceKind]:
    """What the api must know of the kinds of sources."""
    return kinds.source_kinds(clock.now, IngestSettings().event_bytes_max)


def _hook_parts(
    resources: Resources, settings: IngestSettings, metrics: Metrics, intake: Intake, room: Room
) -> HookParts:
    rate = settings.source_rate_requests_per_second
    return HookParts(
        book=ConfiguredBook(resources.pool, resources.secret_box, resources.clock),
        intake=intake,
        room=room,
        rate=RateLimiter(rate, rate, on_limit=lambda limit: metrics.limit_reached.labels(limit).inc()),
        settings=settings,
        metrics=metrics,
        clock=resources.clock,
        public_url=resources.public_url.rstrip("/"),
    )


def _import_parts(resources: Resources, hooks: HookParts, keys: KeyRing, bodies: ImportBodies) -> ImportParts:
    settings, store = hooks.settings, ImportStore()
    uploads = UploadParts(
        store=store,
        pool=resources.pool,
        bodies=bodies,
        new_id=new_id,
        now=resources.clock.now,
        event_bytes_max=settings.event_bytes_max,
        pending_max=settings.imports_pending_max,
        on_limit=hooks.at_limit,
    )
    return ImportParts(
        keys=keys,
        book=hooks.book,
        store=store,
        pool=resources.pool,
        bodies=bodies,
        room=hooks.room,
        uploads=uploads,
        bytes_max=settings.import_bytes_max,
        on_limit=hooks.at_limit,
    )


def _importing_parts(
    resources: Resources, hooks: HookParts, publisher: LanePublisher[Submission, Outcome], bodies: ImportBodies
) -> ImportingParts:
    return ImportingParts(
        store=ImportStore(),
        pool=resources.pool,
        bodies=bodies,
        publisher=publisher,
        clock=resources.clock,
        new_id=new_id,
        metrics=hooks.metrics,
        settings=hooks.settings,
    )
