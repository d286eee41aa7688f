"""What operators do about Kafka: the doctor compares it with Postgres, a skip follows what retention cut, and numbers
go on after a restore of an older Postgres."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete
from builders import an_event, eventually
from contract.kafka_world import KafkaWorld
from contract.runner_world import SLOT, a_service, keeps, post, running
from contract.worlds import PARTITIONS
from kafka_topics import admin_client

from services.doctor.finding import Finding, State
from services.doctor.kafka import check_kafka, fitting, in_range, in_step
from services.renumbering import Ahead, StillRunning, renumber
from services.skipping import NothingToSkip, OutOfRange, Skipping
from shared.events.topics import ACTIVITY, READERS
from shared.stream.carrier import Position
from shared.stream.kafka_client import KafkaClients, KafkaSettings
from shared.stream.kafka_places import Extent
from shared.stream.kafka_topics import Topic
from shared.stream.setup import register_readers
from shared.stream.trim import RETENTION

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
STATEMENTS = re.findall(r"```sql\n(.+?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
async def world(kafka: str, database_url: str, pool: Any) -> AsyncIterator[KafkaWorld]:
    world = await KafkaWorld.start(kafka, database_url, pool)
    async with pool.acquire() as connection:
        await register_readers(connection, READERS, PARTITIONS)
    yield world
    await world.end()


async def found(world: KafkaWorld) -> Mapping[str, Finding]:
    async with world.pool.acquire() as connection:
        return {one.check: one for one in await check_kafka(connection, world.clients, prefix=world.prefix)}


async def laid(world: KafkaWorld) -> None:
    await eventually(lambda: world.is_acknowledged([ACTIVITY], 0), within=20)


async def test_kafka_and_postgres_agree(world: KafkaWorld) -> None:
    await post(world, "a", "b")
    await laid(world)
    findings = await found(world)
    assert findings["kafka"].state is State.OK, findings["kafka"]
    assert {name: one.state for name, one in findings.items()} == {
        "kafka": State.OK,
        "topics": State.WARNING,  # one broker has one copy
        "offsets": State.OK,
        "numbers": State.OK,
    }


async def test_a_kafka_that_is_away_is_the_only_finding(pool: Any) -> None:
    clients = KafkaClients(KafkaSettings(kafka="127.0.0.1:1"))
    async with pool.acquire() as connection:
        await connection.execute("INSERT INTO stream.settings VALUES ('partitions', '4')")
        [finding] = await check_kafka(connection, clients)
    assert (finding.check, finding.state) == ("kafka", State.FAILED)


async def test_after_a_restore_numbers_go_on_after_those_on_kafka(world: KafkaWorld, database_url: str) -> None:
    await post(world, "a", "b", "c")
    await laid(world)
    await world.pool.execute("UPDATE stream.sequences SET seq = 1")
    assert (await found(world))["numbers"].state is State.FAILED
    ahead = {("ingest/0", ACTIVITY, 0): Ahead(1, 3)}
    for carry_out in (False, True):
        assert await renumber(database_url, world.clients, prefix=world.prefix, carry_out=carry_out) == ahead
    assert await renumber(database_url, world.clients, prefix=world.prefix, carry_out=True) == {}
    assert (await found(world))["numbers"].state is State.OK
    await post(world, "d")
    async with running(a_service(world)):
        await keeps(world, ["a", "b", "c", "d"])


async def test_numbers_of_an_emitter_that_the_backup_did_not_know_are_kept(
    world: KafkaWorld, database_url: str
) -> None:
    await world.put(ACTIVITY, 2, [("ingest/5", 1, an_event("a", partition=2)), ("ingest/5", 2, an_event("b"))])
    await renumber(database_url, world.clients, prefix=world.prefix, carry_out=True)
    assert await renumber(database_url, world.clients, prefix=world.prefix, carry_out=False) == {}


async def test_nothing_is_renumbered_while_anything_runs(world: KafkaWorld, database_url: str) -> None:
    for claim in (await world.carrier.claim_lane("ingest"), await world.carrier.claim(SLOT, [ACTIVITY])):
        with pytest.raises(StillRunning):
            await renumber(database_url, world.clients, prefix=world.prefix, carry_out=True)
        await claim.release()
    assert await renumber(database_url, world.clients, prefix=world.prefix, carry_out=True) == {}


async def test_a_reader_goes_on_where_kafka_begins_once_told_so(
    world: KafkaWorld, database_url: str, kafka: str
) -> None:
    await post(world, "a", "b", "c")
    await laid(world)
    async with admin_client(kafka) as admin:
        await admin.delete_records({TopicPartition(world.prefix + ACTIVITY, 0): RecordsToDelete(before_offset=1)})
    skipping = Skipping(database_url, "scoring", 0, world.clients, world.prefix)
    service = a_service(world)
    async with running(service):
        await eventually(lambda: service.runner.state == "out of range", within=20)
        assert (await found(world))["offsets"].state is State.FAILED
        gone = await skipping.look()
        assert gone == OutOfRange(ACTIVITY, 0, Extent(1, 3))
        assert "Kafka has 1 to 3" in skipping.describe(gone)
        await skipping.skip(gone)
        # The first event is missing by its number too, and that is a decision of its own.
        await eventually(lambda: service.runner.state == "gap", within=20)
        await skipping.skip(await skipping.look())
        await eventually(lambda: service.runner.state == "running", within=20)
        await keeps(world, ["b", "c"])
    with pytest.raises(NothingToSkip):
        await skipping.skip(gone)
    rows = await world.pool.fetch("SELECT emitter, first_missing, last_missing FROM stream.skips ORDER BY skip_id")
    assert [tuple(row) for row in rows] == [(None, 0, 0), ("ingest/0", 1, 1)]


async def test_a_reader_that_is_beyond_the_end_reads_again_and_drops_what_it_knows(
    world: KafkaWorld, database_url: str
) -> None:
    """The topics were made anew, or a broker lost the end of one."""
    await post(world, "a", "b")
    await laid(world)
    await world.move_positions(SLOT, {ACTIVITY: Position(700, {"ingest/0": 1})})
    skipping = Skipping(database_url, "scoring", 0, world.clients, world.prefix)
    await skipping.skip(await skipping.look())
    async with running(a_service(world)):
        await keeps(world, ["b"])
    assert await world.pool.fetch("SELECT FROM stream.skips") == []


async def test_on_a_new_kafka_what_postgres_still_has_is_sent_again(
    world: KafkaWorld, database_url: str, kafka: str
) -> None:
    await post(world, "a", "b", "c")
    await laid(world)
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    moved = {ACTIVITY: Position(77, {"ingest/0": 1})}
    async with claim.step(moved, claim.breaker):
        pass
    await world.end()
    await world.pool.execute("DROP TABLE kept")
    for statement in (one for one in STATEMENTS if "jsonb_set" in one or "shipped_through = greatest" in one):
        await world.pool.execute(statement)
    anew = await KafkaWorld.start(kafka, database_url, world.pool)
    try:
        await anew.carrier.claim_lane("ingest")
        async with running(a_service(anew)):
            await keeps(anew, ["b", "c"])
    finally:
        await anew.end()


A_TOPIC = Topic("x", 4, 3, 2, None)
FITTING = dict.fromkeys(RETENTION, A_TOPIC)
OF = ("ingest/0", ACTIVITY, 0)


@pytest.mark.parametrize(
    ("finding", "state"),
    [
        (fitting(FITTING, 4, "k:1"), State.OK),
        (fitting({ACTIVITY: A_TOPIC}, 4, "k:1"), State.FAILED),
        (fitting(FITTING, 8, "k:1"), State.FAILED),
        (fitting({**FITTING, ACTIVITY: A_TOPIC._replace(retention=timedelta(days=7))}, 4, "k:1"), State.OK),
        (fitting({**FITTING, ACTIVITY: A_TOPIC._replace(retention=timedelta(days=6))}, 4, "k:1"), State.WARNING),
        (fitting({**FITTING, ACTIVITY: A_TOPIC._replace(min_in_sync=1)}, 4, "k:1"), State.WARNING),
        (fitting({**FITTING, ACTIVITY: A_TOPIC._replace(replication=1)}, 4, "k:1"), State.WARNING),
        (in_range({("scoring", 0, ACTIVITY): 5}, {(ACTIVITY, 0): Extent(5, 5)}), State.OK),
        (in_range({("scoring", 0, ACTIVITY): 4}, {(ACTIVITY, 0): Extent(5, 9)}), State.FAILED),
        (in_range({("scoring", 0, ACTIVITY): 10}, {(ACTIVITY, 0): Extent(5, 9)}), State.FAILED),
        (in_step({OF: 5}, {OF: 5}), State.OK),
        (in_step({OF: 5}, {OF: 6}), State.FAILED),
        (in_step({}, {OF: 1}), State.FAILED),
    ],
)
def test_limits(finding: Finding, state: State) -> None:
    assert finding.state is state
    assert (finding.fix is None) == (state is State.OK)
