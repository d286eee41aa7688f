"""Puts activities straight on accord.activity.v1, as ingest's relay would: the input of what is measured without HTTP.

Activities only, no profiles, so that every event counts alike for everyone who reads them.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL

from aiokafka import AIOKafkaProducer

from benchmarks.traffic import Traffic
from shared.clock import SystemClock
from shared.events.activity import Activity
from shared.events.codec import encode
from shared.events.envelope import Event, named_id
from shared.events.topics import ACTIVITY, partition_of
from shared.stream.kafka_codec import Headers, headers_of, key_of

EMITTER = "bench/0"
_POUR_SECONDS = 0.02


class Message(NamedTuple):
    """One event, ready to be sent."""

    partition: int
    key: bytes
    value: bytes
    headers: Headers


class Filler:
    """The one producer of the benchmark; `async with`."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self._partitions = partitions
        self._seqs: Counter[int] = Counter()
        self._producer: Any = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            max_batch_size=256 * 1024,
        )

    async def __aenter__(self) -> "Filler":
        await self._producer.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._producer.stop()

    def messages(self, traffic: Traffic, count: int) -> list[Message]:
        """The next events of the traffic; they must be sent in this order, and all of them."""
        now = SystemClock().now()
        return [self._message(event, now) for event in traffic.events(count, now)]

    async def send(self, messages: Sequence[Message], topic: str = ACTIVITY) -> None:
        """As fast as the broker takes them; returns when all are acknowledged."""
        sent = [await self._put(message, topic) for message in messages]
        for acknowledged in sent:
            await acknowledged

    async def pour(self, traffic: Traffic, per_second: float, stopped: asyncio.Event) -> None:
        """At a steady rate until stopped."""
        started_at, done = time.monotonic(), 0
        while not stopped.is_set():
            due = round((time.monotonic() - started_at) * per_second)
            await self.send(self.messages(traffic, due - done))
            done = due
            await asyncio.sleep(_POUR_SECONDS)

    async def _put(self, message: Message, topic: str) -> asyncio.Future[Any]:
        partition, key, value, headers = message
        put: asyncio.Future[Any] = await self._producer.send(topic, value, key, partition, headers=headers)
        return put

    def _message(self, event: dict[str, Any], now: datetime) -> Message:
        email = event["lead"]["email"]
        lead_id, id = named_id(NAMESPACE_URL, email), named_id(NAMESPACE_URL, event["id"])
        occurred_at = datetime.fromisoformat(event["occurred_at"])
        activity = Activity(
            lead_id=lead_id,
            id=id,
            type=event["type"],
            occurred_at=occurred_at,
            received_at=now,
            source=event["source"],
            campaign=event["campaign"],
            identifiers={"email": email},
            data=event["data"],
        )
        enveloped = Event(id, Activity.TYPE, lead_id, occurred_at, now, encode(activity))
        partition = partition_of(lead_id, self._partitions)
        self._seqs[partition] += 1
        headers = headers_of(enveloped, EMITTER, self._seqs[partition])
        return Message(partition, key_of(enveloped), enveloped.value, headers)
