"""The one Kafka producer of a process, shared by its relays, and made anew after any fault."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer

from shared.stream.kafka_client import REQUEST_SECONDS, KafkaClients, close_producer
from shared.stream.kafka_codec import headers_of, key_of
from shared.stream.pace import SHARE_SECONDS, Pace
from shared.stream.relay import Row

log = structlog.get_logger()

SEND_SECONDS = 2 * REQUEST_SECONDS
# One address after the other is tried, each for as long as a request: a silent one must not keep from the others.
START_SECONDS = 4 * REQUEST_SECONDS


class Shipper:
    """`send` may be called by many relays at once; each waits for its own rows."""

    def __init__(self, clients: KafkaClients, topic_prefix: str = "") -> None:
        self._clients = clients
        self._prefix = topic_prefix
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._pace = Pace(SHARE_SECONDS)

    async def send(self, emitter: str, rows: Sequence[Row]) -> None:
        """Returns once Kafka has acknowledged every row; raises what went wrong, and the producer is gone."""
        # A request to a broker costs about the same for one event as for many: the relays of a busy process share them.
        await self._pace.wait()
        self._pace.begin()
        producer = await self._started()
        acknowledged: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(SEND_SECONDS):
                async for future in self._submitted(producer, emitter, rows):
                    acknowledged.append(future)
                for future in acknowledged:
                    await future
        except BaseException as error:
            for future in acknowledged:
                future.add_done_callback(_let_fail)
            if isinstance(error, Exception):
                await self._drop(producer)
            raise

    async def _submitted(
        self, producer: AIOKafkaProducer, emitter: str, rows: Sequence[Row]
    ) -> AsyncIterator[asyncio.Future[Any]]:
        """One acknowledgement to come for each batch of a partition: one for each event took 5 % of a busy process."""
        batches: dict[tuple[str, int], Any] = defaultdict(producer.create_batch)
        for _, topic, partition, seq, event in rows:
            place, headers = (self._prefix + topic, partition), headers_of(event, emitter, seq)
            message = {"timestamp": None, "key": key_of(event), "value": event.value, "headers": headers}
            if batches[place].append(**message) is None:  # it is full
                yield await producer.send_batch(batches.pop(place), place[0], partition=partition)
                batches[place].append(**message)
        for (name, partition), batch in batches.items():
            yield await producer.send_batch(batch, name, partition=partition)

    async def close(self) -> None:
        if self._producer is not None:
            await self._drop(self._producer)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = self._clients.producer()
                try:
                    async with asyncio.timeout(START_SECONDS):
                        await producer.start()
                except BaseException:
                    await _stop(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _drop(self, producer: AIOKafkaProducer) -> None:
        if self._producer is producer:
            self._producer = None
        await _stop(producer)


def _let_fail(acknowledged: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more: its error is the one that was raised."""
    if not acknowledged.cancelled():
        acknowledged.exception()


async def _stop(producer: AIOKafkaProducer) -> None:
    if not await close_producer(producer):
        log.warning("producer_given_up")
