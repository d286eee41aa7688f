"""What the group tells Kafka of positions, with a consumer that answers by itself."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from builders import eventually
from prometheus_client import CollectorRegistry

from shared.stream import kafka_group
from shared.stream.crew import Crew
from shared.stream.feed import Feed
from shared.stream.kafka_group import Group
from shared.stream.metrics import Metrics

PLACE = TopicPartition("accord.activity.v1", 0)


class Consumer:
    """Reads on while it commits, once."""

    _coordinator = SimpleNamespace(coordinator_id=1)
    _client = SimpleNamespace(cluster=SimpleNamespace(brokers=list))
    _fetcher = None

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.committed: dict[TopicPartition, int] = {}

    def subscribe(self, *topics: Any, **options: Any) -> None:
        """All that it is asked for."""

    async def start(self) -> None:
        self._feed.positions[PLACE] = 5

    async def getmany(self, *places: TopicPartition, **options: Any) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0.01)
        return {}

    async def stop(self) -> None:
        """Nothing to close."""

    async def commit(self, positions: Mapping[TopicPartition, int]) -> None:
        if not self.committed:
            self._feed.positions[PLACE] = 7
        self.committed.update(positions)


class Clients:
    """Makes that consumer."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.made: Consumer | None = None

    def consumer(self, group: str | None) -> Consumer:
        self.made = Consumer(self._feed)
        return self.made


async def test_a_position_that_moves_during_a_commit_is_committed_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_group, "COMMIT_SECONDS", 0.01)
    metrics = Metrics(CollectorRegistry())
    feed = Feed("scoring", metrics)
    clients: Any = Clients(feed)

    async def fits() -> None:
        """The topics do."""

    group = Group("scoring", ["accord.activity.v1"], clients=clients, feed=feed, metrics=metrics, check=fits)
    crew: Any = Crew("scoring", lambda partition: pytest.fail("no partition was assigned"), metrics)
    running = asyncio.create_task(group.run(crew))
    try:
        await eventually(lambda: clients.made is not None and clients.made.committed == {PLACE: 7})
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
