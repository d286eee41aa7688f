"""Opens the log of this installation: in Postgres, or on Kafka where `ACCORD_KAFKA` names its brokers."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import structlog
from pydantic import Field

from shared.clock import Clock
from shared.db.connections import Connect, connect_options, dsn
from shared.errors import Surroundings
from shared.events.topics import READERS, TOPICS
from shared.secret_box import SecretBox
from shared.settings import Settings
from shared.stream.crew import Alone, Assignment
from shared.stream.feed import Feed
from shared.stream.handover import Handover
from shared.stream.kafka import KafkaCarrier
from shared.stream.kafka_client import KafkaClients, KafkaSettings
from shared.stream.kafka_group import Group
from shared.stream.kafka_topics import check_topics, create_topics
from shared.stream.lag import LagMonitor
from shared.stream.log import PostgresCarrier
from shared.stream.log_claim import Names
from shared.stream.members import Members
from shared.stream.metrics import Metrics
from shared.stream.notify import Notifier
from shared.stream.outbox import OutboxKeeper, OutboxLag
from shared.stream.setup import PARTITIONS_MAX, initialise, register_readers
from shared.stream.shipper import Shipper
from shared.stream.switch import use_carrier
from shared.stream.trim import Trimmer

DEFAULT_PARTITIONS = 4
# No statement of an owner takes a second, unless it waits for the lock of a stopped owner (at most 10 s). One that
# takes longer than this has lost its answer, and is retried like any fault of the surroundings.
STATEMENT_SECONDS_MAX = 60.0

log = structlog.get_logger(component="carriers")

Loop = Callable[[], Awaitable[None]]


class LogSettings(Settings):
    """What the log of this installation is like."""

    partitions: int | None = Field(default=None, ge=1, le=PARTITIONS_MAX, description="Fixed at the first start")
    log_bytes_max: int = Field(default=8 * 1024**3, gt=0, description="Bound of what the log keeps in Postgres")


@dataclass(frozen=True)
class Site:
    """Where this installation is, and what its secrets are sealed with. `is_shared` says that other processes may run
    services on this database too."""

    database_url: str
    public_url: str
    pool_size: int
    is_shared: bool = False
    secrets: SecretBox | None = None


@dataclass(frozen=True)
class Log:
    """The open log; `assignment` says which partitions of a service this process holds; `held_up` names the services
    that read nothing because the log is silent, with the reason."""

    carrier: PostgresCarrier
    assignment: Callable[[str], Assignment]
    upkeep: Sequence[Loop]
    held_up: Callable[[], Sequence[str]] = lambda: ()


async def prepare_log(connection: Any, kafka: KafkaSettings) -> tuple[int, Names]:
    """What must stand in Postgres before anything runs: partitions, topics, readers, and which carrier it is."""
    settings = LogSettings()
    partitions, names = await initialise(
        connection, topics=TOPICS, partitions=settings.partitions, default=DEFAULT_PARTITIONS
    )
    await use_carrier(connection, "kafka" if kafka.kafka else "postgres")
    await register_readers(connection, READERS, partitions)
    return partitions, names


async def make_log(connection: Any) -> None:
    """What `accord migrate` makes: all that `open_log` asks for, the topics on Kafka too."""
    kafka = KafkaSettings()
    partitions, _ = await prepare_log(connection, kafka)
    if kafka.kafka:
        await create_topics(KafkaClients(kafka), partitions)


async def open_log(
    names: Sequence[str],
    site: Site,
    pool: asyncpg.Pool,
    *,
    clock: Clock,
    metrics: Metrics,
    stack: AsyncExitStack,
    connect: Connect = asyncpg.connect,
) -> Log:
    """For a process with these services; `stack` closes it again."""
    kafka = KafkaSettings()
    async with pool.acquire() as connection:
        partitions, topic_names = await prepare_log(connection, kafka)

    async def connect_owner() -> asyncpg.Connection:
        options = connect_options("accord-owner")
        return await connect(dsn(site.database_url), command_timeout=STATEMENT_SECONDS_MAX, **options)

    opening = _Opening(names, site, pool, connect_owner, partitions, topic_names, clock, metrics)
    return await opening.on_kafka(KafkaClients(kafka), stack) if kafka.kafka else opening.in_postgres()


@dataclass(frozen=True)
class _Opening:
    names: Sequence[str]
    site: Site
    pool: asyncpg.Pool
    connect: Callable[[], Awaitable[Any]]
    partitions: int
    topic_names: Names
    clock: Clock
    metrics: Metrics

    def in_postgres(self) -> Log:
        handover = Handover()
        carrier = PostgresCarrier(
            pool=self.pool,
            connect=self.connect,
            partitions=self.partitions,
            names=self.topic_names,
            handover=handover,
        )
        trimmer = Trimmer(
            self.pool,
            clock=self.clock,
            metrics=self.metrics,
            bytes_max=LogSettings().log_bytes_max,
            on_full=carrier.set_full,
        )
        upkeep: list[Loop] = [LagMonitor(self.pool, self.metrics).run, trimmer.run]
        if not self.site.is_shared:
            return Log(carrier, lambda service: Alone(self.partitions), upkeep)
        topics_read = {topic for name in self.names for topic in READERS.get(name, ())}
        notifier = Notifier(self.connect, handover, topics_read)
        handover.tell_others = notifier.tell
        upkeep.append(notifier.run)
        return Log(carrier, lambda service: Members(self.connect, carrier.owner, self.partitions), upkeep)

    async def on_kafka(self, clients: KafkaClients, stack: AsyncExitStack) -> Log:
        try:
            await check_topics(clients, self.partitions)
        except Surroundings as error:
            # What is accepted waits in Postgres; each reader checks again before it joins its group.
            log.warning("kafka_away_at_start", reason=str(error))
        shipper = Shipper(clients)
        stack.push_async_callback(shipper.close)
        feeds: dict[str, Feed] = {}

        def feed_of(service: str) -> Feed:
            return feeds.setdefault(service, Feed(service, self.metrics))

        carrier = KafkaCarrier(
            pool=self.pool,
            connect=self.connect,
            partitions=self.partitions,
            names=self.topic_names,
            feed_of=feed_of,
            send=shipper.send,
            metrics=self.metrics,
        )
        keeper = OutboxKeeper(
            self.pool, metrics=self.metrics, bytes_max=LogSettings().log_bytes_max, on_full=carrier.set_full
        )
        upkeep: list[Loop] = [OutboxLag(self.pool, self.metrics).run, keeper.run]
        upkeep += [_shipping_abandoned(carrier, name) for name in self.names if name not in READERS]

        def assignment(service: str) -> Assignment:
            topics = READERS[service]
            check = partial(check_topics, clients, self.partitions)
            return Group(service, topics, clients=clients, feed=feed_of(service), metrics=self.metrics, check=check)

        def held_up() -> list[str]:
            now = self.clock.now()
            readers = [feed for service, feed in feeds.items() if service in READERS]
            return [f"{feed.service}: {trouble}" for feed in readers if (trouble := feed.trouble(now))]

        return Log(carrier, assignment, upkeep, held_up)


def _shipping_abandoned(carrier: KafkaCarrier, service: str) -> Loop:
    async def ship() -> None:
        await carrier.ship_abandoned_lanes(service)

    return ship
