"""What goes from the log and when; above all that nothing goes which somebody still needs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from builders import NOON, an_event, eventually
from contract.worlds import PARTITIONS, PostgresWorld, count_on, emit
from patience import within
from prometheus_client import CollectorRegistry

from shared.clock import ManualClock
from shared.errors import Unavailable
from shared.events.envelope import Outgoing
from shared.events.topics import ACTIVITY, DEAD_LETTER, LIFECYCLE, READERS, SALES, SCORE, TOPICS
from shared.stream import trim
from shared.stream.carrier import Slot, Transaction
from shared.stream.lane import LanePublisher
from shared.stream.metrics import Metrics
from shared.stream.positions import admit, advance
from shared.stream.setup import register_readers
from shared.stream.trim import RETENTION, ROW_OVERHEAD_BYTES, Trimmer

HOUR = timedelta(hours=1)
AGES = timedelta(days=400)
VALUE_BYTES = 1_000
ROW_BYTES = VALUE_BYTES + ROW_OVERHEAD_BYTES


class Log:
    """A log with its registered readers and a trimmer, at NOON."""

    def __init__(self, world: PostgresWorld) -> None:
        self.world = world
        self.clock = ManualClock(NOON)
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)

    def trimmer(self, *, rows_max: int = 10**9) -> Trimmer:
        """One whose log may hold so many rows."""
        return Trimmer(
            self.world.pool,
            clock=self.clock,
            metrics=self.metrics,
            bytes_max=rows_max * ROW_BYTES,
            on_full=self.world.carrier.set_full,
        )

    async def put(self, topic: str, count: int, *, age: timedelta, partition: int = 0) -> None:
        """Puts so many events at the end, as if that long ago."""
        claim = await self.world.carrier.claim_lane("ingest")
        start = await count_on(self.world.carrier, topic, partition)
        events = [an_event(f"{topic} {partition} {start + n}", partition=partition) for n in range(count)]
        await emit(claim, *(event._replace(value=bytes(VALUE_BYTES)) for event in events), topic=topic)
        await claim.release()
        await self.world.pool.execute(
            """UPDATE stream.log SET appended_at = $4 FROM stream.topics t
            WHERE t.topic_id = log.topic_id AND t.name = $1 AND partition = $2 AND log_offset >= $3""",
            *(topic, partition, start, self.clock.now() - age),
        )

    async def read(self, service: str, topic: str, count: int, *, partition: int = 0) -> None:
        """Lets a reader move on by so many events."""
        claim = await self.world.carrier.claim(Slot(service, "partition", partition), READERS[service])
        async with claim.step(advance(claim.positions, await claim.fetch([topic], count)), claim.breaker):
            pass
        await claim.release()

    async def read_by_all(self, topic: str, count: int, *, partition: int = 0) -> None:
        for service, topics in READERS.items():
            if topic in topics:
                await self.read(service, topic, count, partition=partition)

    async def kept(self, topic: str, partition: int = 0) -> Sequence[int]:
        """The offsets that the log still holds; checks that it knows its first one."""
        first, end, offsets = await self.world.pool.fetchrow(
            """SELECT first_offset, next_offset, ARRAY(
                SELECT log_offset FROM stream.log l
                WHERE l.topic_id = f.topic_id AND l.partition = f.partition ORDER BY log_offset)
            FROM stream.offsets f JOIN stream.topics USING (topic_id) WHERE name = $1 AND partition = $2""",
            *(topic, partition),
        )
        assert offsets == list(range(first, end))
        return list(offsets)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"accord_stream_{name}", labels)


@pytest.fixture
async def log(database_url: str, pool: Any) -> AsyncIterator[Log]:
    world = await PostgresWorld.open(database_url, pool)
    async with pool.acquire() as connection:
        await register_readers(connection, READERS, PARTITIONS)
    yield Log(world)
    world.close()


@pytest.fixture
def small_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trim, "ROWS_PER_TRIM", 3)
    monkeypatch.setattr(trim, "PAUSE_SECONDS", 600.0)


async def test_what_every_reader_has_read_goes_once_it_is_older_than_its_retention(log: Log) -> None:
    await log.put(LIFECYCLE, 6, age=RETENTION[LIFECYCLE] + HOUR)
    await log.put(LIFECYCLE, 4, age=RETENTION[LIFECYCLE] - HOUR)
    await log.read("sla-monitor", LIFECYCLE, 8)
    await log.read("delivery", LIFECYCLE, 4)
    assert await log.trimmer().trim() == 4
    assert await log.kept(LIFECYCLE) == [4, 5, 6, 7, 8, 9]
    await log.read("delivery", LIFECYCLE, 6)
    assert await log.trimmer().trim() == 2
    assert await log.kept(LIFECYCLE) == [6, 7, 8, 9]
    assert await log.trimmer().trim() == 0
    log.clock.advance(2 * HOUR)
    assert await log.trimmer().trim() == 2
    assert await log.kept(LIFECYCLE) == [8, 9]
    assert log.metric("trimmed_total", topic=LIFECYCLE) == 8


@pytest.mark.parametrize("rows_max", [10**9, 1])
async def test_nothing_unread_ever_goes_however_old_and_however_full_the_log(log: Log, rows_max: int) -> None:
    await log.put(LIFECYCLE, 5, age=AGES)
    await log.put(SCORE, 5, age=AGES)
    await log.read("sla-monitor", LIFECYCLE, 5)
    await log.read("stages", SCORE, 2)
    await log.trimmer(rows_max=rows_max).trim()
    assert await log.kept(LIFECYCLE) == [0, 1, 2, 3, 4]
    assert await log.kept(SCORE) == [2, 3, 4]


async def test_each_partition_and_topic_is_trimmed_by_its_own_readers(log: Log) -> None:
    for partition in (0, 1):
        await log.put(SALES, 3, age=AGES, partition=partition)
        await log.put(SCORE, 3, age=AGES, partition=partition)
    await log.read("stages", SALES, 3, partition=1)
    await log.read("stages", SCORE, 1, partition=0)
    await log.trimmer().trim()
    assert [await log.kept(SALES, partition) for partition in (0, 1)] == [[0, 1, 2], []]
    assert [await log.kept(SCORE, partition) for partition in (0, 1)] == [[1, 2], [0, 1, 2]]


async def test_a_topic_without_readers_is_trimmed_by_age_alone(log: Log) -> None:
    await log.put(DEAD_LETTER, 3, age=RETENTION[DEAD_LETTER] + HOUR)
    await log.put(DEAD_LETTER, 2, age=RETENTION[DEAD_LETTER] - HOUR)
    await log.trimmer().trim()
    assert await log.kept(DEAD_LETTER) == [3, 4]


@pytest.mark.parametrize("topic", TOPICS)
async def test_each_topic_has_its_retention(log: Log, topic: str) -> None:
    await log.put(topic, 1, age=RETENTION[topic])
    await log.read_by_all(topic, 1)
    await log.trimmer().trim()
    assert await log.kept(topic) == [0]
    log.clock.advance(timedelta(microseconds=1))
    await log.trimmer().trim()
    assert await log.kept(topic) == []


async def test_over_the_size_bound_what_all_have_read_goes_before_its_retention(log: Log) -> None:
    await log.put(ACTIVITY, 10, age=HOUR)
    await log.put(LIFECYCLE, 10, age=HOUR)
    await log.read_by_all(ACTIVITY, 7)
    await log.read("sla-monitor", LIFECYCLE, 10)
    assert await log.trimmer(rows_max=20).trim() == 0
    assert log.metric("log_bytes") == 20 * ROW_BYTES
    assert await log.trimmer(rows_max=19).trim() == 7
    assert await log.kept(ACTIVITY) == [7, 8, 9]
    assert await log.kept(LIFECYCLE) == list(range(10))
    await log.trimmer(rows_max=19).trim()
    assert log.metric("log_bytes") == 13 * ROW_BYTES
    assert log.metric("log_full") == 0


async def test_the_log_is_full_while_what_is_still_needed_exceeds_the_bound(log: Log) -> None:
    trimmer = log.trimmer(rows_max=6)
    for partition in (0, 1):
        await log.put(ACTIVITY, 5, age=HOUR, partition=partition)
    await log.read_by_all(ACTIVITY, 3)
    await trimmer.trim()
    assert (log.world.carrier.is_full, log.metric("log_full")) == (True, 1)
    await log.read_by_all(ACTIVITY, 1)
    await trimmer.trim()
    assert (log.world.carrier.is_full, log.metric("log_full")) == (False, 0)


async def test_publishers_refuse_while_the_log_is_full_and_go_on_once_it_was_read(log: Log) -> None:
    async def prepare(transaction: Transaction, items: Sequence[str]) -> tuple[list[Outgoing], Sequence[str]]:
        return [Outgoing(ACTIVITY, an_event(item)) for item in items], items

    publisher = LanePublisher(log.world.carrier, "ingest", prepare, metrics=log.metrics)
    trimmer = log.trimmer(rows_max=4)
    await log.put(ACTIVITY, 5, age=HOUR)
    run = asyncio.create_task(publisher.run())
    try:
        await eventually(lambda: publisher.is_ready)
        await trimmer.trim()
        with pytest.raises(Unavailable, match="full"):
            await publisher.publish("refused")
        assert await count_on(log.world.carrier, ACTIVITY, 0) == 5
        await log.read_by_all(ACTIVITY, 5)
        await trimmer.trim()
        assert await publisher.publish("taken") == "taken"
        assert await count_on(log.world.carrier, ACTIVITY, 0) == 6
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run


async def test_readers_and_emitters_go_on_after_a_trim_without_a_gap(log: Log) -> None:
    await log.put(LIFECYCLE, 10, age=AGES)
    await log.read("sla-monitor", LIFECYCLE, 9)
    await log.read("delivery", LIFECYCLE, 6)
    await log.trimmer().trim()
    await log.put(LIFECYCLE, 3, age=HOUR)
    for service, first in (("sla-monitor", 9), ("delivery", 6)):
        claim = await log.world.carrier.claim(Slot(service, "partition", 0), READERS[service])
        admission = admit(claim.positions, await claim.fetch(READERS[service], 100))
        assert (admission.gap, admission.duplicates) == (None, 0)
        assert [(record.offset, record.seq) for record in admission.records] == [(n, n + 1) for n in range(first, 13)]


async def test_a_log_that_was_trimmed_to_its_end_keeps_its_numbers(log: Log) -> None:
    await log.put(ACTIVITY, 4, age=AGES)
    await log.read_by_all(ACTIVITY, 4)
    await log.trimmer().trim()
    assert await log.kept(ACTIVITY) == []
    assert await log.trimmer().trim() == 0
    assert log.metric("log_bytes") == 0
    await log.put(ACTIVITY, 2, age=HOUR)
    assert await log.kept(ACTIVITY) == [4, 5]


@pytest.mark.usefixtures("small_passes")
async def test_a_pass_trims_no_more_rows_of_a_place_than_its_bound(log: Log) -> None:
    await log.put(ACTIVITY, 7, age=AGES)
    await log.put(ACTIVITY, 2, age=AGES, partition=1)
    for partition in (0, 1):
        await log.read_by_all(ACTIVITY, 7, partition=partition)
    trimmer = log.trimmer()
    assert await trimmer.trim() == 3
    assert await log.kept(ACTIVITY, 0) == [3, 4, 5, 6]
    assert await log.kept(ACTIVITY, 1) == []
    assert [await trimmer.trim() for _ in range(3)] == [3, 1, 0]
    assert await log.kept(ACTIVITY, 0) == []


@pytest.mark.usefixtures("small_passes")
async def test_full_passes_follow_each_other_without_a_pause(log: Log) -> None:
    await log.put(ACTIVITY, 8, age=AGES)
    await log.read_by_all(ACTIVITY, 8)
    run = asyncio.create_task(log.trimmer().run())

    async def is_empty() -> bool:
        return await log.kept(ACTIVITY) == []

    try:
        await eventually(is_empty)
        assert not run.done()
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run


async def test_two_trimmers_at_once_trim_each_row_once(log: Log) -> None:
    await log.put(ACTIVITY, 50, age=AGES)
    await log.read_by_all(ACTIVITY, 40)
    await asyncio.gather(*(log.trimmer().trim() for _ in range(4)))
    assert await log.kept(ACTIVITY) == list(range(40, 50))
    assert log.metric("trimmed_total", topic=ACTIVITY) == 40


async def test_what_an_open_step_has_put_on_the_log_is_there_after_a_trim(log: Log) -> None:
    await log.put(DEAD_LETTER, 3, age=AGES)
    claim = await log.world.carrier.claim(Slot("scoring", "partition", 0))
    async with claim.step(claim.positions, claim.breaker) as transaction:
        await transaction.emit([Outgoing(DEAD_LETTER, an_event("open"))])
        trimming = asyncio.create_task(log.trimmer().trim())
        await eventually(log.world.a_take_over_waits)  # the counter's row is the step's until its commit
    async with within(5):
        assert await trimming == 3
    assert await log.kept(DEAD_LETTER) == [3]


async def test_a_pass_reads_no_more_of_the_log_than_it_must_before_there_are_statistics(log: Log) -> None:
    await log.put(SCORE, 2_000, age=HOUR)
    for statement, values in (
        (trim.ROW_BYTES, (trim.SAMPLE_ROWS,)),
        (trim.FIRST_KEPT, (3, 0, 0, 2_000, log.clock.now())),
    ):
        plan = "\n".join(row[0] for row in await log.world.pool.fetch(f"EXPLAIN {statement}", *values))
        assert "Index Scan using pk_log" in plan, plan
        assert "Seq Scan on log" not in plan, plan
