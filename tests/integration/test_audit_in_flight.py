"""The audit of a line on which events are still on their way: on the log, in the outbox, or on Kafka alone."""

from collections.abc import Sequence

import asyncpg
import pytest
from builders import an_event

from services.api.main import bootstrap_accord
from services.audit.report import first
from services.audit.run import Audit, audit
from shared.agreement.loading import default_accord_text
from shared.events.topics import ACTIVITY, READERS, TOPICS
from shared.stream.setup import initialise, register_readers

PARTITIONS = 4
EVENTS = [an_event(f"in flight {number}") for number in range(5)]
# Both on the one partition that is used here.
EMITTER = "INSERT INTO stream.emitters (name) VALUES ('ingest/0') RETURNING emitter_id"
TOPIC = "SELECT topic_id FROM stream.topics WHERE name = $1"
SEQUENCE = "INSERT INTO stream.sequences VALUES ($1, $2, 0, $3)"
ON_LOG = """INSERT INTO stream.log (topic_id, partition, emitter_id, log_offset, seq, event_id, key, occurred_at,
    received_at, type, value) VALUES ($1, 0, $2, $3::bigint - 1, $3, $4, $5, $6, $6, 'accord.activity', '')"""
IN_OUTBOX = """INSERT INTO stream.outbox (topic_id, partition, emitter_id, row_number, seq, event_id, key, occurred_at,
    received_at, type, value) VALUES ($1, 0, $2, $3, $3, $4, $5, $6, $6, 'accord.activity', '')"""
OWNER = """INSERT INTO stream.ownership (service, kind, number, next_row, shipped_through)
VALUES ('ingest', 'lane', 0, $1, $2)"""
READ = """UPDATE stream.ownership SET positions = jsonb_build_object($1::text, jsonb_build_array(9,
    jsonb_build_object('ingest/0', $2::bigint))) WHERE service = 'scoring' AND number = 0"""


@pytest.fixture
async def line(database_url: str, pool: asyncpg.Pool) -> asyncpg.Pool:
    """A line on which events were accepted and emitted, and which nobody has read."""
    async with pool.acquire() as connection:
        await initialise(connection, topics=TOPICS, partitions=PARTITIONS, default=PARTITIONS)
        await register_readers(connection, READERS, PARTITIONS)
        await bootstrap_accord(connection, default_accord_text())
        await connection.executemany(
            "INSERT INTO ingest.events_seen VALUES ($1, $2)", [(event.id, event.received_at) for event in EVENTS]
        )
    return pool


async def emit(pool: asyncpg.Pool, statement: str, numbers: Sequence[int]) -> None:
    """The events of these numbers lie there; all were counted."""
    emitter, topic = await pool.fetchval(EMITTER), await pool.fetchval(TOPIC, ACTIVITY)
    await pool.execute(SEQUENCE, emitter, topic, len(EVENTS))
    events = [(number, EVENTS[number - 1]) for number in numbers]
    rows = [(topic, emitter, number, event.id, event.key, event.received_at) for number, event in events]
    await pool.executemany(statement, rows)


def found_of(audit: Audit) -> set[str]:
    return {str(check) for check in audit.findings.differences}


async def test_what_lies_on_the_log_and_is_not_read_yet_is_no_difference(line: asyncpg.Pool, database_url: str) -> None:
    await emit(line, ON_LOG, [1, 2, 3, 4, 5])
    await line.execute(
        f"UPDATE stream.offsets SET next_offset = 5 WHERE topic_id = ({TOPIC}) AND partition = 0", ACTIVITY
    )
    found = await audit(database_url)
    assert found.is_clean, first(found)
    assert found.in_flight == {"scoring": 5}
    await line.execute("DELETE FROM stream.log WHERE log_offset = 2")
    found = await audit(database_url)
    assert found_of(found) == {"numbers", "offsets", "accepted"}
    assert any(str(EVENTS[2].id) in sentence for _, sentence in first(found))


async def test_what_waits_in_the_outbox_is_no_difference(line: asyncpg.Pool, database_url: str) -> None:
    await emit(line, IN_OUTBOX, [1, 2, 3, 4, 5])
    await line.execute(OWNER, 6, 2)
    found = await audit(database_url)
    assert found.is_clean, first(found)
    assert found.in_flight == {"scoring": 5}


async def test_a_row_lost_before_it_was_shipped_is_found(line: asyncpg.Pool, database_url: str) -> None:
    await emit(line, IN_OUTBOX, [1, 2, 4, 5])
    await line.execute(OWNER, 6, 2)
    assert found_of(await audit(database_url)) == {"numbers", "shipped", "accepted"}


async def test_what_was_shipped_and_trimmed_may_lie_on_kafka_alone(line: asyncpg.Pool, database_url: str) -> None:
    await emit(line, IN_OUTBOX, [4, 5])
    await line.execute(OWNER, 6, 4)
    found = await audit(database_url)
    assert found.is_clean, first(found)
    assert found.in_flight == {"scoring": 5}


async def test_what_a_reader_on_kafka_has_passed_must_be_in_its_history(line: asyncpg.Pool, database_url: str) -> None:
    await emit(line, IN_OUTBOX, [4, 5])
    await line.execute(OWNER, 6, 4)
    await line.execute(READ, ACTIVITY, 4)
    assert found_of(await audit(database_url)) == {"accepted", "applied"}


async def test_a_reader_ahead_of_its_emitter_is_found(line: asyncpg.Pool, database_url: str) -> None:
    await emit(line, IN_OUTBOX, [])
    await line.execute(OWNER, 6, 5)
    await line.execute(READ, ACTIVITY, 6)
    assert "positions" in found_of(await audit(database_url))
