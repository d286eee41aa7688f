"""The one Kafka producer of a process, shared by its relays, and made anew after any fault."""

import asyncio
from collections.abc import Sequence

import structlog
from aiokafka import AIOKafkaProducer

from shared.stream.kafka_client import REQUEST_SECONDS, KafkaClients
from shared.stream.kafka_codec import headers_of, key_of
from shared.stream.relay import Row

log = structlog.get_logger()

SEND_SECONDS = 2 * REQUEST_SECONDS
CLOSE_SECONDS = 5.0


class Shipper:
    """`send` may be called by many relays at once; each waits for its own rows."""

    def __init__(self, clients: KafkaClients, topic_prefix: str = "") -> None:
        self._clients = clients
        self._prefix = topic_prefix
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def send(self, emitter: str, rows: Sequence[Row]) -> None:
        """Returns once Kafka has acknowledged every row; raises what went wrong, and the producer is gone."""
        producer = await self._started()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                acknowledged = [
                    await producer.send(
                        self._prefix + topic,
                        event.value,
                        key_of(event),
                        partition=partition,
                        headers=headers_of(event, emitter, seq),
                    )
                    for _, topic, partition, seq, event in rows
                ]
                for future in acknowledged:
                    await future
        except Exception:
            await self._drop(producer)
            raise

    async def close(self) -> None:
        if self._producer is not None:
            await self._drop(self._producer)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = self._clients.producer()
                try:
                    async with asyncio.timeout(REQUEST_SECONDS):
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


async def _stop(producer: AIOKafkaProducer) -> None:
    """A producer that has lost its broker flushes for long: it is given a few seconds, then left to itself."""
    try:
        await asyncio.wait_for(producer.stop(), CLOSE_SECONDS)
    except Exception as error:
        log.warning("producer_not_closed", kind=type(error).__name__)
