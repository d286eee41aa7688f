"""How far behind each reader is: in events, and in the age of the oldest event that it has not read."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from builders import an_event
from contract.worlds import PARTITIONS, PostgresWorld, count_on, emit
from prometheus_client import CollectorRegistry

from shared.events.topics import LIFECYCLE, READERS, SALES, SCORE
from shared.stream.carrier import Slot
from shared.stream.lag import LagMonitor
from shared.stream.metrics import Metrics
from shared.stream.positions import advance
from shared.stream.setup import register_readers

# Between what a test does and what it sees may lie this much time, on a machine that is busy.
PATIENCE_SECONDS = 60


class Behind:
    """A log with its registered readers, and what the gauges say about them."""

    def __init__(self, world: PostgresWorld) -> None:
        self.world = world
        self.registry = CollectorRegistry()
        self.monitor = LagMonitor(world.pool, Metrics(self.registry))

    async def put(self, topic: str, *ages: timedelta, partition: int = 0) -> None:
        """Puts one event per age at the end, as if that long ago."""
        claim = await self.world.carrier.claim_lane("ingest")
        for age in ages:
            offset = await count_on(self.world.carrier, topic, partition)
            await emit(claim, an_event(f"{topic} {offset}", partition=partition), topic=topic)
            await self.world.pool.execute(
                """UPDATE stream.log SET appended_at = now() - $4::interval FROM stream.topics t
                WHERE t.topic_id = log.topic_id AND t.name = $1 AND partition = $2 AND log_offset = $3""",
                *(topic, partition, offset, age),
            )
        await claim.release()

    async def read(self, service: str, topic: str, count: int, *, partition: int = 0) -> None:
        claim = await self.world.carrier.claim(Slot(service, "partition", partition), READERS[service])
        async with claim.step(advance(claim.positions, await claim.fetch([topic], count)), claim.breaker):
            pass
        await claim.release()

    async def events(self, service: str, topic: str, partition: int = 0) -> float | None:
        return await self._gauge("events", service, topic, partition)

    async def seconds(self, service: str, topic: str, partition: int = 0) -> float | None:
        return await self._gauge("seconds", service, topic, partition)

    async def _gauge(self, unit: str, service: str, topic: str, partition: int) -> float | None:
        await self.monitor.refresh()
        labels = {"service": service, "topic": topic, "partition": str(partition)}
        return self.registry.get_sample_value(f"accord_stream_lag_{unit}", labels)


@pytest.fixture
async def behind(database_url: str, pool: Any) -> AsyncIterator[Behind]:
    world = await PostgresWorld.open(database_url, pool)
    async with pool.acquire() as connection:
        await register_readers(connection, READERS, PARTITIONS)
    yield Behind(world)
    world.close()


async def test_every_reader_of_every_partition_has_its_gauges_from_the_start(behind: Behind) -> None:
    for service, topics in READERS.items():
        for topic in topics:
            for partition in range(PARTITIONS):
                assert await behind.events(service, topic, partition) == 0
                assert await behind.seconds(service, topic, partition) == 0
    assert await behind.events("scoring", SALES) is None


async def test_the_lag_is_what_was_not_read_and_the_age_of_the_oldest_of_it(behind: Behind) -> None:
    await behind.put(LIFECYCLE, *(timedelta(hours=hours) for hours in (5, 4, 3)))
    await behind.read("delivery", LIFECYCLE, 1)
    await behind.read("sla-monitor", LIFECYCLE, 2)
    for service, events, hours in (("delivery", 2, 4), ("sla-monitor", 1, 3)):
        assert await behind.events(service, LIFECYCLE) == events
        assert await behind.seconds(service, LIFECYCLE) == pytest.approx(
            hours * 3_600 + PATIENCE_SECONDS / 2, abs=PATIENCE_SECONDS / 2
        )


async def test_the_lag_is_nothing_once_all_was_read(behind: Behind) -> None:
    await behind.put(SCORE, timedelta(hours=1), timedelta(minutes=1))
    assert await behind.events("stages", SCORE) == 2
    await behind.read("stages", SCORE, 2)
    assert await behind.events("stages", SCORE) == 0
    assert await behind.seconds("stages", SCORE) == 0


async def test_topics_and_partitions_lag_apart(behind: Behind) -> None:
    await behind.put(SCORE, timedelta(hours=1), partition=1)
    await behind.put(SALES, timedelta(hours=1), timedelta(hours=1), partition=2)
    assert [await behind.events("stages", SCORE, partition) for partition in range(4)] == [0, 1, 0, 0]
    assert [await behind.events("stages", SALES, partition) for partition in range(4)] == [0, 0, 2, 0]


async def test_the_lag_is_told_of_what_was_not_read_after_a_trim_too(behind: Behind) -> None:
    await behind.put(SCORE, *(timedelta(hours=1) for _ in range(3)))
    await behind.read("stages", SCORE, 2)
    await behind.world.pool.execute("DELETE FROM stream.log WHERE log_offset < 2")
    assert await behind.events("stages", SCORE) == 1
    assert (await behind.seconds("stages", SCORE) or 0) >= 3_600
