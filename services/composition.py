"""Puts services together in a process: resources once, then each service's runners, routes and loops.

One process with all services and one process per service differ only in the list of services they name.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import asyncpg
import structlog
from prometheus_client import CollectorRegistry

from services.api import main as api
from services.carriers import Loop, Site, open_log
from services.delivery import main as delivery
from services.ingest import main as ingest
from services.scoring import main as scoring
from services.sla_monitor import main as sla_monitor
from services.stages import main as stages
from shared.clock import SystemClock
from shared.db.accord_book import AccordBook, NoAccord
from shared.db.api_role import take_on_api_role
from shared.db.connections import create_pool
from shared.db.engine import create_engine
from shared.db.faults import DATABASE_ERRORS
from shared.db.pool_metrics import watch_pool
from shared.db.watch import DatabaseWatch
from shared.errors import AccordError, Surroundings
from shared.events.topics import READERS
from shared.http.issuer import open_issuer
from shared.http.tokens import OidcSettings
from shared.lifecycle import Resources, Service
from shared.stream.carrier import Slot
from shared.stream.crew import Assignment, Crew
from shared.stream.handler import Handler, Ticker
from shared.stream.kafka import KafkaCarrier
from shared.stream.metrics import Metrics
from shared.stream.runner import Runner
from shared.stream.traced import TracedHandler, TracedTicker
from shared.telemetry.metrics import watch_readiness
from shared.telemetry.spans import open_spans

SERVICES: Mapping[str, Callable[[Resources], Service]] = {
    "ingest": ingest.wire,
    "scoring": scoring.wire,
    "stages": stages.wire,
    "sla-monitor": sla_monitor.wire,
    "delivery": delivery.wire,
    "api": api.wire,
}
ACCORD_CHECK_SECONDS = 1.0

log = structlog.get_logger(component="composition")


class LoopEnded(AccordError):
    """A loop of a service ended although nobody asked it to."""


@dataclass
class House:
    """What runs in this process. `run` returns after `stop`, or raises what made a loop end."""

    resources: Resources
    services: Sequence[Service]
    crews: Sequence[tuple[Crew, Assignment]]
    upkeep: Sequence[Loop]
    database: DatabaseWatch
    held_up: Callable[[], Sequence[str]]

    async def run(self, stopped: asyncio.Event) -> None:
        """Runs everything until `stopped` is set: first the loops that publish end, then the readers."""
        loops = [loop for service in self.services for loop in service.background]
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(crew.run()) for crew, _ in self.crews]
            assigning = [group.create_task(_for_ever(partial(assignment.run, crew))) for crew, assignment in self.crews]
            background = [group.create_task(_for_ever(loop)) for loop in (*loops, *self.upkeep)]
            await stopped.wait()
            for task in background:
                task.cancel()
            for crew, _ in self.crews:
                crew.stop()
            if readers:
                await asyncio.wait(readers)
            # Last, since others learn by it that this process has left.
            for task in assigning:
                task.cancel()

    def readiness(self) -> tuple[bool, dict[str, object]]:
        """Ready when HTTP work can be done and an accord is held. Partitions that don't run, or wait for a silent
        Kafka, stand in the body, and only a process with nothing but their service is not ready for them (HTTP.md)."""
        waiting = [service.name for service in self.services if not service.is_ready()]
        if self.resources.accords.is_empty:
            waiting.append("accord")
        if self.database.trouble is not None:
            waiting.append(f"database: {self.database.trouble}")
        runners = [runner for crew, _ in self.crews for runner in crew.runners.values()]
        held_up = [f"{runner.slot.emitter}: {runner.state}" for runner in runners if runner.state != "running"]
        held_up += self.held_up()
        is_ready = not waiting and not (held_up and len(self.services) == 1)
        return is_ready, {"ready": is_ready, "waiting_for": waiting, "partitions_not_running": held_up}


async def _for_ever(loop: Loop) -> None:
    await loop()
    raise LoopEnded


async def build(names: Sequence[str], site: Site, *, registry: CollectorRegistry, stack: AsyncExitStack) -> House:
    """Opens what the named services need; `stack` closes it again."""
    spans = open_spans(f"accord-{names[0]}" if len(names) == 1 else "accord", stack)
    watch = DatabaseWatch(site.database_url)
    pool = await create_pool(site.database_url, max_size=site.pool_size, connect=watch.connect)
    stack.push_async_callback(_close_pool, pool)
    watch_pool(pool, registry)
    engine = create_engine(
        site.database_url, application_name="accord-api", init=take_on_api_role, connect=watch.connect
    )
    stack.push_async_callback(engine.dispose)
    metrics = Metrics(registry)
    clock = SystemClock()
    opened = await open_log(names, site, pool, connect=watch.connect, clock=clock, metrics=metrics, stack=stack)
    accords = AccordBook()
    with suppress(NoAccord):
        await accords.refresh(pool)
    issuer = await open_issuer(OidcSettings(), site.public_url, stack)
    resources = Resources(
        pool=pool,
        engine=engine,
        carrier=opened.carrier,
        accords=accords,
        registry=registry,
        stream_metrics=metrics,
        clock=clock,
        public_url=site.public_url,
        spans=spans,
        issuer=issuer,
        secrets=site.secrets,
        source_kinds=ingest.source_kinds(clock),
    )
    services = [SERVICES[name](resources) for name in names]
    crews = [(crew, opened.assignment(crew.service)) for crew in _crews(services, resources)]
    upkeep: list[Loop] = [*opened.upkeep, partial(_wait_for_accord, pool, accords), watch.run]
    house = House(resources, services, crews, upkeep, watch, opened.held_up)
    watch_readiness(lambda: house.readiness()[0], registry)
    return house


def _crews(services: Sequence[Service], resources: Resources) -> list[Crew]:
    return [_crew(service, service.handler, resources) for service in services if service.handler is not None]


def _crew(service: Service, make_handler: Callable[[int], Handler], resources: Resources) -> Crew:
    def make_runner(partition: int) -> Runner:
        slot = Slot(service.name, "partition", partition)
        ticker = service.ticker(partition) if service.ticker else None
        handler, ticker = _traced(make_handler(partition), ticker, slot, resources)
        return Runner(
            carrier=resources.carrier,
            slot=slot,
            topics=READERS[service.name],
            handler=handler,
            ticker=ticker,
            clock=resources.clock,
            metrics=resources.stream_metrics,
            release=version("accord"),
            at_once=service.at_once,
        )

    return Crew(service.name, make_runner, resources.stream_metrics)


def _traced(handler: Handler, ticker: Ticker | None, slot: Slot, resources: Resources) -> tuple[Handler, Ticker | None]:
    spans = resources.spans
    if spans is None:
        return handler, ticker
    system = "kafka" if isinstance(resources.carrier, KafkaCarrier) else "postgresql"
    return TracedHandler(handler, spans, slot, system), ticker and TracedTicker(ticker, spans, slot)


async def _wait_for_accord(pool: asyncpg.Pool, accords: AccordBook) -> None:
    """A process that was started before there is one waits for it; then every step reads for itself which there are."""
    while accords.is_empty:
        try:
            await accords.refresh(pool)
        except (Surroundings, *DATABASE_ERRORS) as error:
            log.warning("accord_awaited", reason=str(error))
            await asyncio.sleep(ACCORD_CHECK_SECONDS)
    await asyncio.Event().wait()


async def _close_pool(pool: asyncpg.Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), timeout=3)
    except DATABASE_ERRORS:
        pool.terminate()
