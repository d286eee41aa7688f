"""The runner keeps its contract on the Kafka carrier."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from contract.kafka_world import KafkaWorld, leaves_sockets
from contract.runner_contract import RunnerContract

pytestmark = leaves_sockets


@pytest.fixture
async def world(kafka: str, database_url: str, pool: Any) -> AsyncIterator[KafkaWorld]:
    world = await KafkaWorld.start(kafka, database_url, pool)
    yield world
    await world.end()


class TestRunnerOnKafka(RunnerContract):
    """The contract alone."""
