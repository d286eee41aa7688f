"""What Kafka has, whatever Postgres says of it: where each partition begins and ends, and which numbers lie there."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from shared.errors import Surroundings
from shared.events.topics import TOPICS
from shared.stream.kafka_client import KafkaClients
from shared.stream.kafka_codec import record_of

ANSWER_SECONDS = 30
READ_EVENTS = 5_000

Place = tuple[str, int]  # topic, partition
Numbers = dict[tuple[str, str, int], int]  # (emitter, topic, partition) -> its last number


class Extent(NamedTuple):
    """The offsets that a partition has: from `first` up to, not including, `end`."""

    first: int
    end: int


async def extents(clients: KafkaClients, partitions: int, *, prefix: str = "") -> Mapping[Place, Extent]:
    """Of every partition of every topic. Raises Surroundings when Kafka can't be asked."""
    places = [TopicPartition(prefix + topic, partition) for topic in TOPICS for partition in range(partitions)]
    async with _consumer(clients) as consumer:
        firsts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    return {(place.topic.removeprefix(prefix), place.partition): Extent(firsts[place], ends[place]) for place in places}


async def last_numbers(clients: KafkaClients, wanted: Mapping[Place, Extent], *, prefix: str = "") -> Numbers:
    """The highest number of each emitter among these offsets. Raises Surroundings when Kafka can't be asked."""
    found: Numbers = {}
    if all(at.first >= at.end for at in wanted.values()):
        return found  # a consumer that is stopped before it began fails in aiokafka
    async with _consumer(clients) as consumer:
        left = {
            TopicPartition(prefix + topic, number): at for (topic, number), at in wanted.items() if at.first < at.end
        }
        consumer.assign(list(left))
        for place, at in left.items():
            consumer.seek(place, at.first)
        while left:
            async with asyncio.timeout(ANSWER_SECONDS):
                read = await consumer.getmany(*left, timeout_ms=1_000, max_records=READ_EVENTS)
            for place, messages in read.items():
                for message in messages:
                    record = record_of(message, place.topic.removeprefix(prefix))
                    if record.emitter is not None and record.seq is not None:
                        of = (record.emitter, record.topic, record.partition)
                        found[of] = max(found.get(of, 0), record.seq)
            for place in [place for place, at in left.items() if await consumer.position(place) >= at.end]:
                del left[place]
    return found


@asynccontextmanager
async def _consumer(clients: KafkaClients) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = clients.consumer(None)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await consumer.start()
        yield consumer
    except (KafkaError, TimeoutError) as error:
        raise Surroundings(f"Kafka can't be asked: {type(error).__name__} {error}".rstrip()) from None
    finally:
        await consumer.stop()
