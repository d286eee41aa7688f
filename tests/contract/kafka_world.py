"""The Kafka carrier under the contract suite: a real broker, topics of its own, and a log that looks settled.

The suite asks for what was emitted at once; on Kafka it arrives a moment later. So a fetch here first waits until all
that was committed before has arrived: what the suite then sees is what the carrier itself delivered.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from contract.worlds import PARTITIONS, PostgresWorld, count_on
from prometheus_client import CollectorRegistry

from shared.clock import new_id
from shared.errors import OutOfRange
from shared.events.envelope import Event, Record
from shared.events.topics import TOPICS
from shared.stream.carrier import Positions, Slot
from shared.stream.feed import Feed, Mailbox
from shared.stream.kafka import KafkaCarrier, KafkaClaim
from shared.stream.kafka_client import KafkaClients, KafkaSettings
from shared.stream.kafka_codec import headers_of, key_of
from shared.stream.kafka_topics import create_topics
from shared.stream.metrics import Metrics
from shared.stream.setup import initialise
from shared.stream.shipper import Shipper

SETTLE_SECONDS = 10
# aiokafka leaves a socket to the garbage collector when a client is closed while one of its tasks connects.
leaves_sockets = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class AssignedFeed(Feed):
    """A feed without a group: it is given each partition that it is asked for."""

    def __init__(self, service: str, metrics: Metrics, topic_prefix: str, clients: KafkaClients) -> None:
        super().__init__(service, metrics, topic_prefix)
        self._clients = clients
        self._pumping: asyncio.Task[None] | None = None

    async def fetch(self, partition: int, topics: Sequence[str], positions: Positions, limit: int) -> list[Record]:
        if self._consumer is None:
            consumer = self._clients.consumer(None)
            await consumer.start()
            if self._consumer is None:
                self.attach(consumer)
                self._pumping = asyncio.create_task(self.pump())
            else:
                await consumer.stop()
        return await super().fetch(partition, topics, positions, limit)

    def _box(self, place: TopicPartition) -> Mailbox | None:
        if place not in self._boxes and self._consumer is not None:
            self._boxes[place] = Mailbox(place.topic.removeprefix(self.topic_prefix), place.partition)
            self._consumer.assign(list(self._boxes))
            for known, box in self._boxes.items():
                if box.start is not None:
                    self._consumer.seek(known, box.end)
        return self._boxes.get(place)

    async def watch(self, partition: int, topics: Sequence[str]) -> None:
        """Reads these from now on, as it does once a claim has fetched."""
        if any(TopicPartition(self.topic_prefix + topic, partition) not in self._boxes for topic in topics):
            await self.fetch(partition, topics, {}, 1)

    def end(self, topic: str, partition: int) -> int:
        box = self._boxes.get(TopicPartition(self.topic_prefix + topic, partition))
        return box.end if box is not None and box.start is not None else 0

    async def close(self) -> None:
        if self._pumping is not None:
            self._pumping.cancel()
            with suppress(asyncio.CancelledError):
                await self._pumping
        if self._consumer is not None:
            await self._consumer.stop()


class SettledClaim(KafkaClaim):
    """What was committed before a fetch has arrived when it reads."""

    world: "KafkaWorld"

    async def fetch(self, topics: Sequence[str], limit: int) -> Sequence[Record]:
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while not await self.world.is_laid(topics, self.slot.number):
                    await asyncio.sleep(0.005)
                while not await self._has_arrived(topics, limit):
                    await asyncio.sleep(0.005)
        return await super().fetch(topics, limit)

    async def _has_arrived(self, topics: Sequence[str], limit: int) -> bool:
        partition, feed = self.slot.number, self.world.feed_of(self.slot.service)
        try:
            found = await super().fetch(topics, limit)
        except OutOfRange:
            return True
        full = Counter(record.topic for record in found)
        for topic in topics:
            committed = await self.world.laid(topic, partition)
            if full[topic] < limit and feed.end(topic, partition) < committed:
                return False
        return True


class SettledCarrier(KafkaCarrier):
    """Its claims are settled."""

    claim_type = SettledClaim
    world: "KafkaWorld"

    async def wait(self, slot: Slot, topics: Sequence[str], timeout_seconds: float) -> None:
        await self.world.feed_of(slot.service).watch(slot.number, topics)
        await super().wait(slot, topics, timeout_seconds)

    def _new_claim(self, slot: Slot, epoch: int) -> KafkaClaim:
        claim = super()._new_claim(slot, epoch)
        assert isinstance(claim, SettledClaim)
        claim.world = self.world
        self.world.claims.append(claim)
        return claim


class KafkaWorld(PostgresWorld):
    """Implements `World` on a fresh migrated database and topics of its own."""

    ships = True
    carrier: SettledCarrier

    def __init__(self, clients: KafkaClients, prefix: str, **of: Any) -> None:
        super().__init__(**of)
        self.clients = clients
        self.prefix = prefix
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.claims: list[KafkaClaim] = []
        self._feeds: dict[str, AssignedFeed] = {}
        self._probe: AIOKafkaConsumer | None = None
        self._put: Counter[tuple[str, int]] = Counter()

    @classmethod
    async def start(cls, kafka: str, database_url: str, pool: Any, idle_in_transaction: str = "10s") -> "KafkaWorld":
        connections: list[Any] = []

        async def connect() -> Any:
            settings = {"idle_in_transaction_session_timeout": idle_in_transaction}
            connections.append(await asyncpg.connect(database_url, server_settings=settings))
            return connections[-1]

        async with pool.acquire() as connection:
            await connection.execute("CREATE TABLE kept (number serial PRIMARY KEY, key text, value text)")
            partitions, names = await initialise(connection, topics=TOPICS, partitions=PARTITIONS, default=1)
        clients, prefix = KafkaClients(KafkaSettings(kafka=kafka)), f"{new_id().hex}."
        await create_topics(clients, partitions, prefix=prefix)
        world = cls(clients, prefix, pool=pool, carrier=None, connections=connections)
        world.shipper = Shipper(clients, prefix)
        world.carrier = SettledCarrier(
            pool=pool,
            connect=connect,
            partitions=partitions,
            names=names,
            feed_of=world.feed_of,
            send=world.shipper.send,
            metrics=world.metrics,
        )
        world.carrier.world = world
        return world

    shipper: Shipper

    def feed_of(self, service: str) -> AssignedFeed:
        if service not in self._feeds:
            self._feeds[service] = AssignedFeed(service, self.metrics, self.prefix, self.clients)
        return self._feeds[service]

    async def laid(self, topic: str, partition: int) -> int:
        """How many messages lie on the partition, or will: those committed and those put there."""
        return await count_on(self.carrier, topic, partition) + self._put[topic, partition]

    async def is_laid(self, topics: Sequence[str], partition: int) -> bool:
        """Whether the broker has it all."""
        if self._probe is None:
            self._probe = self.clients.consumer(None)
            await self._probe.start()
        places = {TopicPartition(self.prefix + topic, partition): topic for topic in topics}
        ends = await self._probe.end_offsets(list(places))
        return all([ends[place] >= await self.laid(topic, partition) for place, topic in places.items()])

    async def put(self, topic: str, partition: int, numbered: Sequence[tuple[str, int, Event]]) -> None:
        producer = self.clients.producer()
        await producer.start()
        for emitter, seq, event in numbered:
            self._put[topic, partition] += 1
            headers = headers_of(event, emitter, seq)
            name = self.prefix + topic
            await producer.send_and_wait(name, event.value, key_of(event), partition=partition, headers=headers)
        await producer.stop()

    async def put_raw(
        self, topic: str, partition: int, *, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]
    ) -> None:
        """As a foreign producer does."""
        producer = self.clients.producer()
        await producer.start()
        self._put[topic, partition] += 1
        await producer.send_and_wait(self.prefix + topic, value, key, partition=partition, headers=headers)
        await producer.stop()

    async def message(self, topic: str, partition: int, offset: int) -> Any:
        """One message as it lies on the broker."""
        consumer, place = self.clients.consumer(None), TopicPartition(self.prefix + topic, partition)
        await consumer.start()
        consumer.assign([place])
        consumer.seek(place, offset)
        found = await consumer.getone()
        await consumer.stop()
        return found

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    async def end(self) -> None:
        """Ends what runs in the background; the topics are left to the broker's own end."""
        for claim in self.claims:
            await claim.abandon()
        for feed in self._feeds.values():
            await feed.close()
        if self._probe is not None:
            await self._probe.stop()
        await self.shipper.close()
        self.close()
        gc.collect()
