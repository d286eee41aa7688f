"""The broker: one real Kafka node (deploy/kafka/rig.py) with a heap to work in, and how far its topics have grown."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError

from deploy.kafka.rig import Rig

JAVA_OPTIONS = ("-Xms512m", "-Xmx1g")
_COORDINATOR_SECONDS = 20.0


@dataclass(frozen=True)
class Broker:
    """A running node."""

    bootstrap: str
    pid: int


@contextmanager
def running_broker() -> Iterator[Broker]:
    """Start it from the main thread. Raises deploy.kafka.jars.KafkaUnusable where there can be none."""
    with Rig(java_options=JAVA_OPTIONS) as rig:
        yield Broker(rig.bootstrap, rig.nodes[0].pid)


class Topics:
    """Asks the broker how far topics and groups are; `async with`."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._partitions = partitions
        self._consumer: Any = AIOKafkaConsumer(bootstrap_servers=bootstrap)
        self._admin: Any = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def __aenter__(self) -> "Topics":
        await asyncio.gather(self._consumer.start(), self._admin.start())
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.gather(self._consumer.stop(), self._admin.close())

    async def make(self, name: str) -> None:
        """A plain topic with as many partitions as all others."""
        await self._admin.create_topics([NewTopic(name, self._partitions, 1)])

    async def ends(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition."""
        places = [TopicPartition(topic, partition) for partition in range(self._partitions)]
        found = await self._consumer.end_offsets(places)
        return {place.partition: found[place] for place in places}

    async def count(self, topic: str) -> int:
        """Messages ever put on the topic."""
        return sum((await self.ends(topic)).values())

    async def committed(self, group: str, topic: str) -> Mapping[int, int]:
        """What a group has committed of a topic: the next offset of each partition."""
        found = await self._offsets(group)
        return {place.partition: at.offset for place, at in found.items() if place.topic == topic}

    async def _offsets(self, group: str) -> Any:
        """A broker that has just started makes its own topic for this first."""
        deadline = time.monotonic() + _COORDINATOR_SECONDS
        while True:
            try:
                return await self._admin.list_consumer_group_offsets(group)
            except GroupCoordinatorNotAvailableError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.2)
