"""A real Kafka for the tests that ask for one: started once per run, when the first of them asks.

ACCORD_TEST_KAFKA names one to use; else deploy/kafka starts one (Java 17; Maven once); else the test is skipped,
except where ACCORD_REQUIRE_KAFKA=1. Topics are shared by the run: take names of your own (`fresh_prefix`).
"""

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from deploy.kafka.jars import Kafka, KafkaUnusable, find_kafka
from deploy.kafka.rig import Rig

# A controller that gets no CPU for seconds takes its own broker for dead: then no partition has a leader for a while.
NEVER_GIVEN_UP = {"broker.session.timeout.ms": "600000"}


@pytest.fixture(scope="session")
def kafka_jars() -> Kafka:
    """What a test starts a `Rig` of its own with, to break it."""
    try:
        return find_kafka()
    except KafkaUnusable as unusable:
        _do_without(unusable)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    """The bootstrap address of the run's Kafka: one node, or what ACCORD_TEST_KAFKA names. Leave it whole."""
    if named := os.environ.get("ACCORD_TEST_KAFKA"):
        yield named
        return
    with Rig(kafka=request.getfixturevalue("kafka_jars"), settings=NEVER_GIVEN_UP) as rig:
        yield rig.bootstrap


@pytest.fixture(scope="session")
def kafka_three(kafka_jars: Kafka) -> Iterator[Rig]:
    """Three nodes, RF 3, min ISR 2. Who ends a node starts it again."""
    with Rig(3, kafka=kafka_jars) as rig:
        yield rig


def _do_without(unusable: KafkaUnusable) -> NoReturn:
    if os.environ.get("ACCORD_REQUIRE_KAFKA") == "1":
        pytest.fail(f"ACCORD_REQUIRE_KAFKA=1, but there is no Kafka: {unusable}", pytrace=False)
    pytest.skip(f"no Kafka: {unusable}")
