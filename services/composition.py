"""Puts services together in a process: resources once, then each service's runners, routes and loops.

One process with all services and one process per service differ only in the list of services they name.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import asyncpg
import structlog
from prometheus_client import CollectorRegistry
from pydantic import Field

from services.api import main as api
from services.delivery import main as delivery
from services.ingest import main as ingest
from services.scoring import main as scoring
from services.sla_monitor import main as sla_monitor
from services.stages import main as stages
from shared.clock import SystemClock
from shared.db.accord_book import AccordBook, NoAccord
from shared.db.engine import connect_options, create_engine, create_pool, dsn
from shared.db.faults import DATABASE_ERRORS
from shared.db.pool_metrics import watch_pool
from shared.errors import AccordError, Surroundings
from shared.events.topics import READERS, TOPICS
from shared.lifecycle import Resources, Service
from shared.settings import Settings
from shared.stream.carrier import Slot
from shared.stream.crew import Alone, Assignment, Crew
from shared.stream.handler import Handler
from shared.stream.handover import Handover
from shared.stream.lag import LagMonitor
from shared.stream.log import PostgresCarrier
from shared.stream.members import Members
from shared.stream.metrics import Metrics
from shared.stream.notify import Notifier
from shared.stream.runner import Runner
from shared.stream.setup import PARTITIONS_MAX, initialise, register_readers
from shared.stream.trim import Trimmer
from shared.telemetry.metrics import watch_readiness

SERVICES: Mapping[str, Callable[[Resources], Service]] = {
    "ingest": ingest.wire,
    "scoring": scoring.wire,
    "stages": stages.wire,
    "sla-monitor": sla_monitor.wire,
    "delivery": delivery.wire,
    "api": api.wire,
}
DEFAULT_PARTITIONS = 4
# No statement of an owner takes a second, unless it waits for the lock of a stopped owner (at most 10 s). One that
# takes longer than this has lost its answer, and is retried like any fault of the surroundings.
STATEMENT_SECONDS_MAX = 60.0
ACCORD_CHECK_SECONDS = 1.0

log = structlog.get_logger(component="composition")

Loop = Callable[[], Awaitable[None]]


class LoopEnded(AccordError):
    """A loop of a service ended although nobody asked it to."""


@dataclass
class House:
    """What runs in this process. `run` returns after `stop`, or raises what made a loop end."""

    resources: Resources
    services: Sequence[Service]
    crews: Sequence[tuple[Crew, Assignment]]
    upkeep: Sequence[Loop]

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
        """Ready when HTTP work can be done and an accord is held. Partitions that don't run stand in the body, and only
        a process with nothing but their service is not ready for them (HTTP.md)."""
        waiting = [service.name for service in self.services if not service.is_ready()]
        if self.resources.accords.is_empty:
            waiting.append("accord")
        runners = [runner for crew, _ in self.crews for runner in crew.runners.values()]
        held_up = [f"{runner.slot.emitter}: {runner.state}" for runner in runners if runner.state != "running"]
        is_ready = not waiting and not (held_up and len(self.services) == 1)
        return is_ready, {"ready": is_ready, "waiting_for": waiting, "partitions_not_running": held_up}


async def _for_ever(loop: Loop) -> None:
    await loop()
    raise LoopEnded


class CompositionSettings(Settings):
    """What the log of this installation is like."""

    partitions: int | None = Field(default=None, ge=1, le=PARTITIONS_MAX, description="Fixed at the first start")
    log_bytes_max: int = Field(default=8 * 1024**3, gt=0, description="Bound of the log on the Postgres carrier")


@dataclass(frozen=True)
class Site:
    """Where this installation is. `is_shared` says that other processes may run services on this database too."""

    database_url: str
    public_url: str
    pool_size: int
    is_shared: bool = False


async def build(names: Sequence[str], site: Site, *, registry: CollectorRegistry, stack: AsyncExitStack) -> House:
    """Opens what the named services need; `stack` closes it again."""
    settings = CompositionSettings()
    pool = await create_pool(site.database_url, max_size=site.pool_size)
    stack.push_async_callback(_close_pool, pool)
    watch_pool(pool, registry)
    engine = create_engine(site.database_url)
    stack.push_async_callback(engine.dispose)
    async with pool.acquire() as connection:
        partitions, topic_names = await initialise(
            connection, topics=TOPICS, partitions=settings.partitions, default=DEFAULT_PARTITIONS
        )
        await register_readers(connection, READERS, partitions)

    async def connect() -> asyncpg.Connection:
        options = connect_options("accord-owner")
        return await asyncpg.connect(dsn(site.database_url), command_timeout=STATEMENT_SECONDS_MAX, **options)

    handover = Handover()
    carrier = PostgresCarrier(pool=pool, connect=connect, partitions=partitions, names=topic_names, handover=handover)
    accords = AccordBook()
    with suppress(NoAccord):
        await accords.refresh(pool)
    resources = Resources(
        pool=pool,
        engine=engine,
        carrier=carrier,
        accords=accords,
        registry=registry,
        stream_metrics=Metrics(registry),
        clock=SystemClock(),
        public_url=site.public_url,
    )
    services = [SERVICES[name](resources) for name in names]
    upkeep = _upkeep(resources, settings.log_bytes_max, carrier.set_full)
    if site.is_shared:
        notifier = Notifier(connect, handover, _topics_read(services))
        handover.tell_others = notifier.tell
        upkeep.append(notifier.run)

    def assignment() -> Assignment:
        return Members(connect, carrier.owner, partitions) if site.is_shared else Alone(partitions)

    house = House(resources, services, [(crew, assignment()) for crew in _crews(services, resources)], upkeep)
    watch_readiness(lambda: house.readiness()[0], registry)
    return house


def _upkeep(resources: Resources, log_bytes_max: int, on_full: Callable[[bool], None]) -> list[Loop]:
    pool, metrics = resources.pool, resources.stream_metrics
    trimmer = Trimmer(pool, clock=resources.clock, metrics=metrics, bytes_max=log_bytes_max, on_full=on_full)
    return [LagMonitor(pool, metrics).run, trimmer.run, partial(_wait_for_accord, pool, resources.accords)]


def _topics_read(services: Sequence[Service]) -> set[str]:
    return {topic for service in services if service.handler for topic in READERS[service.name]}


def _crews(services: Sequence[Service], resources: Resources) -> list[Crew]:
    return [_crew(service, service.handler, resources) for service in services if service.handler is not None]


def _crew(service: Service, make_handler: Callable[[int], Handler], resources: Resources) -> Crew:
    def make_runner(partition: int) -> Runner:
        return Runner(
            carrier=resources.carrier,
            slot=Slot(service.name, "partition", partition),
            topics=READERS[service.name],
            handler=make_handler(partition),
            ticker=service.ticker(partition) if service.ticker else None,
            clock=resources.clock,
            metrics=resources.stream_metrics,
            release=version("accord"),
        )

    return Crew(service.name, make_runner, resources.stream_metrics)


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
