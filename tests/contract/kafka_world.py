"""The Kafka carrier under the contract suite: a real broker, topics of its own, and a log that looks settled.

The suite asks for what was emitted at once; on Kafka it arrives a moment later. So a fetch here first waits until all
that was committed before has arrived: what the suite then sees is what the carrier itself delivered. Offsets don't say
whether it has: two relays of one lane may send the same rows, so that a topic holds more than was committed.
"""

import asyncio
import gc
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from builders import eventually
from contract.worlds import PARTITIONS, PostgresWorld
from patience import PATIENCE
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
from shared.stream.relay import Row
from shared.stream.setup import initialise
from shared.stream.shipper import Shipper

START_SECONDS = 30
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
    """What was committed before a fetch has arrived when it reads. A release waits until Kafka has its rows: no other
    process is there that would ship what it left."""

    flush_seconds = SETTLE_SECONDS * PATIENCE
    world: "KafkaWorld"

    async def fetch(self, topics: Sequence[str], limit: int) -> Sequence[Record]:
        await eventually(lambda: self.world.is_acknowledged(topics, self.slot.number), within=SETTLE_SECONDS)
        ends = await self.world.ends(topics, self.slot.number)
        await eventually(lambda: self._has_arrived(ends, limit), within=SETTLE_SECONDS)
        return await super().fetch(topics, limit)

    async def _has_arrived(self, ends: Mapping[str, int], limit: int) -> bool:
        """Whether all before these offsets has, or as much as is asked for."""
        partition, feed = self.slot.number, self.world.feed_of(self.slot.service)
        try:
            found = await super().fetch(list(ends), limit)
        except OutOfRange:
            return True
        full = Counter(record.topic for record in found)
        return all(full[topic] >= limit or feed.end(topic, partition) >= end for topic, end in ends.items())


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
        self._probe = clients.consumer(None)
        self._acknowledged: defaultdict[tuple[str, int], set[tuple[str, int]]] = defaultdict(set)

    @classmethod
    async def start(cls, kafka: str, database_url: str, pool: Any) -> "KafkaWorld":
        connections: list[Any] = []

        async def connect() -> Any:
            settings = {"idle_in_transaction_session_timeout": "10s"}
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
            send=world.send,
            metrics=world.metrics,
        )
        world.carrier.world = world
        await world._probe.start()
        await eventually(world._is_led, within=START_SECONDS)
        return world

    shipper: Shipper

    def feed_of(self, service: str) -> AssignedFeed:
        if service not in self._feeds:
            self._feeds[service] = AssignedFeed(service, self.metrics, self.prefix, self.clients)
        return self._feeds[service]

    async def _is_led(self) -> bool:
        """Whether every partition has a leader that answers: a busy broker names it long before it is one."""
        places = [TopicPartition(self.prefix + topic, partition) for topic in TOPICS for partition in range(PARTITIONS)]
        try:
            return len(await self._probe.end_offsets(places)) == len(places)
        except KafkaError:
            return False

    async def send(self, emitter: str, rows: Sequence[Row]) -> None:
        """What relays send with."""
        await self.shipper.send(emitter, rows)
        for row in rows:
            self._acknowledged[row.topic, row.partition].add((emitter, row.seq))

    async def is_acknowledged(self, topics: Sequence[str], partition: int) -> bool:
        """Whether the broker has every number that was committed."""
        for topic in topics:
            end = await self.carrier.end(topic, partition)
            committed = {(emitter, seq) for emitter, last in end.items() for seq in range(1, last + 1)}
            if not committed <= self._acknowledged[topic, partition]:
                return False
        return True

    async def ends(self, topics: Sequence[str], partition: int) -> dict[str, int]:
        """The offset after the last message that the broker has, for each topic."""
        places = {topic: TopicPartition(self.prefix + topic, partition) for topic in topics}
        ends = await self._probe.end_offsets(list(places.values()))
        return {topic: ends[place] for topic, place in places.items()}

    async def put(self, topic: str, partition: int, numbered: Sequence[tuple[str, int, Event]]) -> None:
        producer = self.clients.producer()
        await producer.start()
        for emitter, seq, event in numbered:
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
        await self._probe.stop()
        await self.shipper.close()
        self.close()
        gc.collect()
