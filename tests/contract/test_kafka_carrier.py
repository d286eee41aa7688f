"""The Kafka carrier keeps the carrier contract on a real broker, and what only it can be asked."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from contract.carrier_contract import CarrierContract
from contract.kafka_world import KafkaWorld, leaves_sockets

pytestmark = leaves_sockets


@pytest.fixture
async def world(kafka: str, database_url: str, pool: Any) -> AsyncIterator[KafkaWorld]:
    world = await KafkaWorld.start(kafka, database_url, pool)
    yield world
    await world.end()


class TestKafkaCarrier(CarrierContract):
    """The contract alone."""
