"""Kafka is away when a process starts: what is accepted is durable all the same, and waits."""

import socket
from contextlib import AsyncExitStack
from typing import Any

import pytest
from builders import an_event, eventually
from contract.worlds import emit
from prometheus_client import CollectorRegistry

from services.carriers import Site, open_log
from shared.clock import SystemClock
from shared.errors import InvalidDocument, Surroundings
from shared.stream.kafka_client import KafkaClients, KafkaSettings
from shared.stream.kafka_topics import check_topics
from shared.stream.metrics import Metrics


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


async def test_a_publisher_starts_and_its_rows_wait(
    nobody: str, database_url: str, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_KAFKA", nobody)
    registry = CollectorRegistry()
    site = Site(database_url, "http://localhost", 5, is_shared=True)
    async with AsyncExitStack() as stack:
        opened = await open_log(("ingest",), site, pool, clock=SystemClock(), metrics=Metrics(registry), stack=stack)
        lane = await opened.carrier.claim_lane("ingest")
        await emit(lane, an_event("waits"))
        await eventually(
            lambda: (registry.get_sample_value("accord_relay_restarts_total", {"service": "ingest"}) or 0) > 1
        )
        await lane.release()
    assert await pool.fetchval("SELECT count(*) FROM stream.outbox") == 1
    assert await pool.fetchval("SELECT shipped_through FROM stream.ownership WHERE kind = 'lane'") == 0


async def test_a_kafka_that_cannot_be_reached_is_named_as_that(nobody: str) -> None:
    with pytest.raises(Surroundings, match=r"Kafka can't be reached at .*ACCORD_KAFKA"):
        await check_topics(KafkaClients(KafkaSettings(kafka=nobody)), 4)


@pytest.mark.parametrize("wrong", ["kafka", "kafka:9092;kafka:9093", "kafka:9092, other:9092", "http://kafka:9092"])
def test_an_address_that_is_none_is_refused_with_what_is_allowed(wrong: str) -> None:
    with pytest.raises(InvalidDocument, match="ACCORD_KAFKA: must be host:port"):
        KafkaSettings(kafka=wrong)
