"""Who waits for transitions from outside: in Postgres by looking every 2 ms, on Kafka as a consumer."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic_core import from_json

from benchmarks.house import House
from shared.events.lifecycle import StageChanged
from shared.events.topics import LIFECYCLE

LOOK_SECONDS = 0.002

_ENDS = """SELECT f.partition, f.next_offset FROM stream.offsets f JOIN stream.topics t USING (topic_id)
WHERE t.name = $1 ORDER BY f.partition"""

_FOLLOWING = """SELECT l.partition, l.log_offset, l.type, l.value
FROM unnest($2::smallint[], $3::bigint[]) AS want(partition, start)
CROSS JOIN LATERAL (
    SELECT partition, log_offset, type, value FROM stream.log
    WHERE topic_id = $1::smallint AND partition = want.partition AND log_offset >= want.start
    ORDER BY log_offset LIMIT 500) AS l"""


class Subscriber(Protocol):
    """Reads the lifecycle topic from where it stood at `join`; notes when it saw each email's lead enter a stage."""

    seen_at: dict[str, float]

    async def join(self) -> None: ...
    async def follow(self) -> None: ...


class PostgresSubscriber:
    """Reads the committed log."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._topic_id = 0
        self._next: dict[int, int] = {}
        self.seen_at: dict[str, float] = {}

    async def join(self) -> None:
        self._topic_id = await self._connection.fetchval(
            "SELECT topic_id FROM stream.topics WHERE name = $1", LIFECYCLE
        )
        self._next = dict(await self._connection.fetch(_ENDS, LIFECYCLE))

    async def follow(self) -> None:
        # Its looks take Postgres from the line: to plan each anew takes four times as long as to run it.
        await self._connection.execute("SET plan_cache_mode = force_generic_plan")
        statement = await self._connection.prepare(_FOLLOWING)
        while True:
            rows = await statement.fetch(self._topic_id, list(self._next), list(self._next.values()))
            self._note(rows, time.monotonic())
            await asyncio.sleep(LOOK_SECONDS)

    def _note(self, rows: list[Any], read_at: float) -> None:
        for partition, offset, type_, value in rows:
            self._next[partition] = offset + 1
            if type_ == StageChanged.TYPE:
                self.seen_at.setdefault(_email(value), read_at)


class KafkaSubscriber:
    """Reads the topic, as any consumer of another team would."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self.seen_at: dict[str, float] = {}

    async def join(self) -> None:
        await self._consumer.seek_to_end()
        for place in self._consumer.assignment():
            await self._consumer.position(place)

    async def follow(self) -> None:
        while True:
            read = await self._consumer.getmany(timeout_ms=1_000)
            read_at = time.monotonic()
            for message in (message for messages in read.values() for message in messages):
                if dict(message.headers)["ce_type"] == StageChanged.TYPE.encode():
                    self.seen_at.setdefault(_email(message.value), read_at)


@asynccontextmanager
async def subscriber(house: House, partitions: int) -> AsyncIterator[Subscriber]:
    """The one that fits the house."""
    if house.broker is None:
        connection = await asyncpg.connect(house.database_url)
        try:
            yield PostgresSubscriber(connection)
        finally:
            await connection.close()
        return
    consumer = AIOKafkaConsumer(bootstrap_servers=house.broker.bootstrap)
    consumer.assign([TopicPartition(LIFECYCLE, partition) for partition in range(partitions)])
    await consumer.start()
    try:
        yield KafkaSubscriber(consumer)
    finally:
        await consumer.stop()


def _email(value: bytes) -> str:
    email: str = from_json(value)["lead"]["email"]
    return email
