"""Wires the api: the only file that reads its settings."""

from services.api.handler import ActionLine, Eraser, Publisher, prepare
from services.api.metrics import Metrics
from services.api.pages.calls import api_app
from services.api.pages.rooms import page_routes
from services.api.pages.sessions import Sessions
from services.api.pages.sign_in import SignIn
from services.api.pages.site import Foundation
from services.api.routes.accord_checks import AccordCheckRoutes
from services.api.routes.accord_steps import AccordStepRoutes
from services.api.routes.accords import AccordRoutes
from services.api.routes.actions import ActionRoutes
from services.api.routes.audit_log import AuditLogRoutes
from services.api.routes.clocks import ClockRoutes
from services.api.routes.dead_letters import DeadLetterRoutes
from services.api.routes.deliveries import DeliveryRoutes
from services.api.routes.erasure import ErasureRoutes
from services.api.routes.export import ExportRoutes
from services.api.routes.keys import KeyRoutes
from services.api.routes.lead_reader import LeadReader
from services.api.routes.leads import LeadRoutes
from services.api.routes.operations import OperationRoutes
from services.api.routes.owners import OwnerRoutes
from services.api.routes.parts import Parts, Registrar
from services.api.routes.promises import PromiseRoutes
from services.api.routes.reports import ReportRoutes
from services.api.routes.source_events import SourceEventRoutes
from services.api.routes.sources import SourceRoutes
from services.api.routes.stream import StreamRoutes
from services.api.routes.stream_feed import Feed
from services.api.routes.subscriptions import SubscriptionRoutes
from services.api.settings import ApiSettings
from services.api.store.accords import AccordStore, bootstrap_accord
from services.api.store.attainment import AttainmentStore
from services.api.store.attribution import AttributionStore
from services.api.store.audit_log import AuditLogStore
from services.api.store.clocks import ClockStore
from services.api.store.configured import ConfiguredStore
from services.api.store.database import Database
from services.api.store.dead_letters import DeadLetterStore
from services.api.store.erasure import ErasureStore
from services.api.store.export import ExportStore
from services.api.store.funnel import FunnelStore
from services.api.store.idempotency import IdempotencyStore
from services.api.store.keys import KeyStore
from services.api.store.leads import LeadStore
from services.api.store.lists import ListStore
from services.api.store.operations import OperationStore
from services.api.store.owners import OwnerStore
from services.api.store.promises import PromiseStore
from services.api.store.signed import SignedAccords
from services.api.store.sources import SourceStore
from services.api.store.stream import StreamStore
from services.api.store.subscriptions import SubscriptionStore
from services.api.store.timeline import TimelineStore
from services.api.store.trends import TrendStore
from services.api.sweeper.erasures import Erasures
from services.api.sweeper.lists import Lists
from services.api.sweeper.pulse import Pulse
from shared.http.auth import KeyRing
from shared.lifecycle import Resources, Service

__all__ = ["NAME", "bootstrap_accord", "wire"]

NAME = "api"


def wire(resources: Resources) -> Service:
    """The api's routes, and the lane that its commands go through."""
    settings = ApiSettings()
    metrics = Metrics(resources.registry)
    publisher = Publisher(resources.carrier, NAME, prepare, metrics=resources.stream_metrics)
    line = ActionLine(publisher, resources.carrier, metrics, settings.waiters_max)
    database = Database(resources.engine)
    parts = _parts(resources, database, settings=settings, metrics=metrics, line=line)
    reader, subscriptions = LeadReader(parts), SubscriptionStore(database)
    lists = Lists(ListStore(database), parts.accords, resources.clock, metrics)
    feed = Feed(StreamStore(database, resources.carrier.partitions), metrics)
    registrar = Registrar(parts, reader.belongs_to)
    sources, operations, wishes = SourceStore(database), OperationStore(database), ErasureStore(database, parts.accords)
    pulse, eraser = Pulse(operations.totals), Eraser(wishes, line, resources.clock)
    erasures = Erasures(wishes, eraser, resources.clock)
    for routes in (
        LeadRoutes(parts, reader, TrendStore(database), catch_up=lists.catch_up),
        ActionRoutes(parts, reader),
        ClockRoutes(parts, AttainmentStore(database)),
        PromiseRoutes(parts, PromiseStore(database.rows)),
        AccordRoutes(parts),
        AccordCheckRoutes(parts),
        AccordStepRoutes(parts),
        SourceRoutes(parts, sources, resources.secret_box, resources.source_kinds),
        SourceEventRoutes(parts, sources, resources.secret_box),
        SubscriptionRoutes(parts, subscriptions, resources.secret_box),
        DeliveryRoutes(parts, subscriptions),
        StreamRoutes(parts, reader, feed),
        OwnerRoutes(parts, OwnerStore(database)),
        KeyRoutes(parts, KeyStore(database)),
        AuditLogRoutes(parts),
        DeadLetterRoutes(parts, DeadLetterStore(database, resources.pool)),
        OperationRoutes(parts, operations, pulse.pace),
        ReportRoutes(parts, FunnelStore(database, lists.reading), AttributionStore(database, lists.reading)),
        ErasureRoutes(parts, reader, wishes, eraser),
        ExportRoutes(parts, reader, ExportStore(database)),
    ):
        routes.register(registrar)
    sessions = Sessions(parts.keys, resources.secret_box, resources.clock, resources.public_url)
    foundation = Foundation(api_app(registrar.router.routes), sessions, resources.clock, metrics)
    entrance = resources.issuer.entrance if resources.issuer else None
    pages = page_routes(foundation, SignIn(sessions, entrance, resources.secret_box))
    return Service(
        NAME,
        routes=(*registrar.router.routes, *pages),
        bare_routes=registrar.bare,
        background=(publisher.run, parts.keys.run, *lists.loops, feed.run, pulse.run, erasures.run),
        on_stopping=feed.close,
        is_ready=lambda: publisher.is_ready,
    )


def _parts(
    resources: Resources, database: Database, *, settings: ApiSettings, metrics: Metrics, line: ActionLine
) -> Parts:
    on_full = metrics.limits_reached.labels("key_cache").inc
    return Parts(
        leads=LeadStore(database),
        timeline=TimelineStore(database),
        clocks=ClockStore(database),
        accord_store=AccordStore(database),
        configured=ConfiguredStore(database),
        audit_log=AuditLogStore(database),
        idempotency=IdempotencyStore(database),
        keys=KeyRing(resources.pool, resources.clock, tokens=resources.tokens, on_full=on_full),
        accords=SignedAccords(resources.pool, resources.accords),
        publish=line.publish,
        wait_until_applied=line.wait_until_applied,
        clock=resources.clock,
        metrics=metrics,
        settings=settings,
        public_url=resources.public_url,
    )
