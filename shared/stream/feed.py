"""What one process reads of Kafka for one service: a consumer, and a bounded mailbox per topic and partition.

The positions in Postgres decide: a claim asks from its positions on, and the consumer follows. A full mailbox is left
out of the next read; the broker keeps what comes meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError

from shared.errors import OutOfRange
from shared.events.envelope import Record
from shared.stream.carrier import Positions
from shared.stream.handover import wait_and_clear
from shared.stream.kafka_client import raise_if_ended
from shared.stream.kafka_codec import record_of
from shared.stream.metrics import Metrics
from shared.stream.pace import SHARE_SECONDS, Pace
from shared.stream.positions import START

log = structlog.get_logger()

RECORDS_MAX = 2_000
RECORDS_PER_READ = 500
READ_SECONDS = 0.25
# While a mailbox is full, the others are waited for only so long.
SHORT_READ_SECONDS = 0.02
# A broker answers every fetch within a quarter of a second (kafka_client.FETCH_WAIT_SECONDS), with nothing if need be.
SILENCE_SECONDS_MAX = 5.0
NOTHING = TopicPartition("", 0)


class Mailbox:
    """All that the broker has of one topic of one partition from `start` up to `end`, in order."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.start: int | None = None
        self.end = 0
        self.records: deque[Record] = deque()
        self.records_max = RECORDS_MAX
        self.is_out_of_range = False

    def move_to(self, offset: int) -> bool:
        """Forgets what lies before the offset. False if what follows it isn't here: then it must be sought."""
        if self.start is None or not self.start <= offset <= self.end:
            return False
        while self.records and self.records[0].offset < offset:
            self.records.popleft()
        self.start = offset
        return True

    def seek(self, offset: int) -> None:
        """What comes next begins at this offset."""
        self.records.clear()
        self.start = self.end = offset
        self.is_out_of_range = False

    def put(self, messages: Sequence[Any]) -> None:
        for message in messages:
            if message.offset >= self.end:
                self.records.append(record_of(message, self.topic))
                self.end = message.offset + 1


class Feed:
    """`fetch` and `wait` serve the claims; `pump` runs while a consumer is attached."""

    def __init__(self, service: str, metrics: Metrics, topic_prefix: str = "") -> None:
        self.service = service
        self.positions: dict[TopicPartition, int] = {}
        self._metrics = metrics
        self.topic_prefix = topic_prefix
        self._consumer: AIOKafkaConsumer | None = None
        self._boxes: dict[TopicPartition, Mailbox] = {}
        self._arrived: dict[int, asyncio.Event] = {}

    def attach(self, consumer: AIOKafkaConsumer) -> None:
        """From now on this consumer is read. Nothing is assigned yet."""
        self._consumer = consumer
        self.assigned(())

    def detach(self) -> None:
        """There is no consumer any more."""
        self._consumer = None
        self.assigned(())

    def assigned(self, places: Sequence[TopicPartition]) -> None:
        """These are this process's: every one is sought when its owner first asks for it."""
        for place, box in self._boxes.items():
            if box.is_out_of_range:  # its next owner says whether it still is
                self._metrics.kafka_out_of_range.labels(self.service, str(place.partition)).set(0)
        self._boxes = {place: Mailbox(place.topic.removeprefix(self.topic_prefix), place.partition) for place in places}
        self.positions = {}

    def trouble(self, now: datetime) -> str | None:
        """Why nothing comes from Kafka, if that is so: a broker that has nothing new answers all the same."""
        if self._consumer is None:
            return "not a member of its group on Kafka"
        assigned = self._consumer.assignment()
        answered = [self._consumer.last_poll_timestamp(place) for place in self._wanted() if place in assigned]
        latest = max(filter(None, answered), default=None)
        if latest is None or now.timestamp() - latest / 1_000 <= SILENCE_SECONDS_MAX:
            return None
        return f"Kafka has not answered for more than {SILENCE_SECONDS_MAX:g} s"

    async def fetch(self, partition: int, topics: Sequence[str], positions: Positions, limit: int) -> list[Record]:
        """At most `limit` records per topic from the positions on.

        Raises OutOfRange when the broker no longer has what comes next.
        """
        found: list[Record] = []
        for topic in topics:
            place = TopicPartition(self.topic_prefix + topic, partition)
            box = self._box(place)
            if box is None:
                continue
            offset = positions.get(topic, START).offset
            self.positions[place] = offset
            box.records_max = max(RECORDS_MAX, limit)
            if not box.move_to(offset):
                self._seek(place, box, offset)
            if box.is_out_of_range:
                raise OutOfRange(f"{place.topic}/{partition}: offset {offset} is not on the broker")
            found.extend(islice(box.records, limit))
        return found

    async def wait(self, partition: int, timeout_seconds: float) -> None:
        """Returns at once if something came for the partition since its last wait ended."""
        await wait_and_clear(self._event(partition), timeout_seconds)

    def wake(self, partition: int) -> None:
        self._event(partition).set()

    async def pump(self) -> None:
        """Fills the mailboxes until cancelled. Raises what the consumer can't recover from by itself."""
        pace = Pace(SHARE_SECONDS)
        while True:
            await pace.wait()
            consumer = self._consumer
            if consumer is None:
                await asyncio.sleep(SHORT_READ_SECONDS)
                continue
            wanted = self._wanted()
            seconds = READ_SECONDS if wanted and len(wanted) == len(self._boxes) else SHORT_READ_SECONDS
            raise_if_ended(consumer)
            try:
                # Only a read tells what went wrong in the group, and that this member is alive: one that wants nothing
                # reads too.
                read = await consumer.getmany(
                    *(wanted or [NOTHING]), timeout_ms=int(seconds * 1_000), max_records=RECORDS_PER_READ
                )
            except NoOffsetForPartitionError:
                continue  # not sought yet when the consumer looked; it is now
            except OffsetOutOfRangeError as error:
                self._out_of_range(error.args[0])
                continue
            self._put(read)
            # Reads of a busy topic share requests to the broker; a backlog is read without a pause.
            if 0 < sum(map(len, read.values())) < RECORDS_PER_READ:
                pace.begin()

    def _put(self, read: Mapping[TopicPartition, Sequence[Any]]) -> None:
        for place, messages in read.items():
            box = self._boxes.get(place)
            if box is not None and box.start is not None:
                box.put(messages)
                self.wake(place.partition)

    def _wanted(self) -> list[TopicPartition]:
        return [
            place
            for place, box in self._boxes.items()
            if box.start is not None and not box.is_out_of_range and len(box.records) < box.records_max
        ]

    def _box(self, place: TopicPartition) -> Mailbox | None:
        return self._boxes.get(place)

    def _seek(self, place: TopicPartition, box: Mailbox, offset: int) -> None:
        if self._consumer is None:
            return
        try:
            self._consumer.seek(place, offset)
        except IllegalStateError:
            return  # taken from this process just now; its runner is being stopped
        box.seek(offset)
        self._metrics.kafka_out_of_range.labels(self.service, str(place.partition)).set(0)

    def _out_of_range(self, places: Mapping[TopicPartition, int]) -> None:
        for place, offset in places.items():
            box = self._boxes.get(place)
            if box is None or box.end != offset:
                continue
            box.is_out_of_range = True
            self._metrics.kafka_out_of_range.labels(self.service, str(place.partition)).set(1)
            log.error("offset_out_of_range", service=self.service, topic=place.topic, partition=place.partition)
            self.wake(place.partition)

    def _event(self, partition: int) -> asyncio.Event:
        return self._arrived.setdefault(partition, asyncio.Event())
