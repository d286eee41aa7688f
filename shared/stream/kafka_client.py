"""How this process reaches Kafka: its settings, and the clients made from them.

aiokafka waits for ever in a few places when a broker vanishes, so every call of ours stands in a time-out.
What is left behind then must be ended by its private parts: aiokafka itself ends things only in good order.
"""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerClosed
from aiokafka.helpers import create_ssl_context
from pydantic import Field, SecretStr, field_validator

from shared.settings import Settings

REQUEST_SECONDS = 15
CLOSE_SECONDS = 5.0
# A broker that has come back must be known before the others go: aiokafka asks no others than it last heard of.
METADATA_SECONDS = 10
# How long a group waits for a member that doesn't join again, say because it stands still: longer than any runner takes
# to stop, and shorter than a request lasts, since a join is one.
REBALANCE_SECONDS = 12
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
FETCH_WAIT_SECONDS = 0.25
_ADDRESS = re.compile(r"[^\s,:\[\]]+:\d{1,5}|\[[0-9a-fA-F:.]+\]:\d{1,5}")


class Address(NamedTuple):
    """Where a broker is, as brokers say."""

    node: int
    host: str
    port: int


class KafkaSettings(Settings):
    """Without `ACCORD_KAFKA` the log is the one in Postgres."""

    kafka: str | None = Field(default=None, description="host:port,… of some brokers")
    kafka_replication: int | None = Field(default=None, ge=1, le=9, description="Of topics made by `accord migrate`")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ca_file: Path | None = None
    kafka_cert_file: Path | None = None
    kafka_key_file: Path | None = None
    kafka_session_timeout_seconds: int = Field(default=45, ge=6, le=1_800)

    @field_validator("kafka")
    @classmethod
    def _is_list_of_addresses(cls, value: str | None) -> str | None:
        if value is not None and not all(_ADDRESS.fullmatch(address) for address in value.split(",")):
            raise ValueError("must be host:port, or several with commas between, like kafka-1:9092,kafka-2:9092")
        return value


class KafkaClients:
    """Makes clients; each caller starts and stops its own."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self._options = _options(settings)

    def producer(self) -> aiokafka.AIOKafkaProducer:
        """Idempotent. Without linger a lone event goes at once; what comes while a request runs shares the next."""
        return aiokafka.AIOKafkaProducer(
            **self._options,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            compression_type="lz4",
            max_batch_size=256 * 1024,
            max_request_size=MESSAGE_BYTES_MAX,
        )

    def consumer(self, group: str | None) -> aiokafka.AIOKafkaConsumer:
        """Positions come from Postgres alone: none is ever reset or committed by the client itself."""
        return aiokafka.AIOKafkaConsumer(
            **self._options,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=self.settings.kafka_session_timeout_seconds * 1_000,
            rebalance_timeout_ms=REBALANCE_SECONDS * 1_000,
            heartbeat_interval_ms=min(3_000, self.settings.kafka_session_timeout_seconds * 1_000 // 3),
            fetch_max_wait_ms=int(FETCH_WAIT_SECONDS * 1_000),
            max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
        )

    def admin(self) -> AIOKafkaAdminClient:
        return AIOKafkaAdminClient(**self._options)

    async def brokers(self) -> frozenset[Address]:
        """Which brokers there are, says the first of ACCORD_KAFKA that answers; none if none does."""
        client = self.admin()
        try:
            async with asyncio.timeout(4 * REQUEST_SECONDS):
                await client.start()
                found = (await client.describe_cluster())["brokers"]
                return frozenset(Address(broker["node_id"], broker["host"], broker["port"]) for broker in found)
        except (KafkaError, TimeoutError, OSError):
            return frozenset()
        finally:
            await client.close()


async def close_producer(producer: aiokafka.AIOKafkaProducer) -> bool:
    """Flushes for a moment, then gives up what is unsent; False if it had to. Nothing of the producer goes on."""
    try:
        await asyncio.wait_for(producer.stop(), CLOSE_SECONDS)
    except (KafkaError, TimeoutError, OSError):
        sending = producer._sender.sender_task if producer._sender is not None else None
        if sending is not None:
            sending.remove_done_callback(producer._sender._fail_all)
            sending.cancel()
        # Whoever shares the producer need not wait for the end of his time-out.
        producer._message_accumulator.fail_all(ProducerClosed())
        await producer.client.close()
        if sending is not None:
            await asyncio.wait([sending], timeout=CLOSE_SECONDS)
            # It may have connected once more.
            await producer.client.close()
        return False
    return True


async def close_consumer(consumer: aiokafka.AIOKafkaConsumer) -> bool:
    """Leaves the group; False if that took too long. A member left to itself would keep its partitions for minutes."""
    try:
        await asyncio.wait_for(consumer.stop(), CLOSE_SECONDS)
    except (KafkaError, TimeoutError, OSError):
        with suppress(KafkaError, TimeoutError, OSError):
            await asyncio.wait_for(_abandon(consumer), CLOSE_SECONDS)
        return False
    return True


async def _abandon(consumer: aiokafka.AIOKafkaConsumer) -> None:
    coordinator, fetcher = consumer._coordinator, consumer._fetcher
    if coordinator is not None:
        await coordinator._stop_heartbeat_task()
        await coordinator._stop_commit_offsets_refresh_task()
    if fetcher is not None:
        await fetcher.close()
    await consumer._client.close()


def has_no_coordinator(consumer: aiokafka.AIOKafkaConsumer) -> bool:
    """True while the consumer can't reach the broker that leads its group, or doesn't know which it is."""
    coordinator = consumer._coordinator
    return coordinator is None or coordinator.coordinator_id is None


def brokers_known(consumer: aiokafka.AIOKafkaConsumer) -> frozenset[Address]:
    """The only brokers that the consumer will ever ask."""
    found = consumer._client.cluster.brokers()
    return frozenset(Address(broker.nodeId, broker.host, broker.port) for broker in found)


def raise_if_ended(consumer: aiokafka.AIOKafkaConsumer) -> None:
    """Raises what ended the consumer's own reading: its `getmany` would return nothing for ever."""
    fetcher = consumer._fetcher
    if fetcher is not None and fetcher.error_future.done():
        fetcher.error_future.result()
        raise KafkaConnectionError("the consumer reads no more")


def _options(settings: KafkaSettings) -> dict[str, Any]:
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka,
        "client_id": "accord",
        "request_timeout_ms": REQUEST_SECONDS * 1_000,
        "metadata_max_age_ms": METADATA_SECONDS * 1_000,
        "security_protocol": protocol,
    }
    if protocol in ("SSL", "SASL_SSL"):
        options["ssl_context"] = create_ssl_context(
            cafile=_text(settings.kafka_ca_file),
            certfile=_text(settings.kafka_cert_file),
            keyfile=_text(settings.kafka_key_file),
        )
    if protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
        password = settings.kafka_sasl_password
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = password.get_secret_value() if password else None
    return options


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
