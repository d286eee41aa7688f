"""What `accord doctor` finds, and that each thing it finds wrong names its repair."""

import io
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from builders import an_event, eventually
from contract.worlds import PARTITIONS, PostgresWorld, emit
from rich.console import Console

from services.api.main import bootstrap_accord
from services.doctor.finding import Finding, State
from services.doctor.line import log
from services.doctor.main import examine, tell
from services.doctor.server import connections, durability, fitness, skew
from shared.agreement.loading import default_accord_text
from shared.clock import ManualClock, SystemClock
from shared.events.topics import READERS
from shared.stream.carrier import Missing, Slot
from shared.stream.setup import register_readers

CHECKS = ["database", "durability", "connections", "clock", "migrations"]
CHECKS += ["accord", "breaker", "gaps", "owners", "lag", "dead letters", "log"]


@pytest.fixture
async def world(database_url: str, pool: Any) -> AsyncIterator[PostgresWorld]:
    """An Accord with every partition owned, and an accord in force."""
    world = await PostgresWorld.open(database_url, pool)
    async with pool.acquire() as connection:
        await register_readers(connection, READERS, PARTITIONS)
        await bootstrap_accord(connection, default_accord_text())
    for service, topics in READERS.items():
        for number in range(PARTITIONS):
            await world.carrier.claim(Slot(service, "partition", number), topics)
    yield world
    world.close()


async def found(database_url: str) -> dict[str, Finding]:
    """By check; what the tests' own server is told to hold back from the disk is left out."""
    findings = {finding.check: finding for finding in await examine(database_url, SystemClock())}
    findings.pop("durability")
    for finding in findings.values():
        assert (finding.fix is None) == (finding.state is State.OK), finding
    return findings


async def test_nothing_is_wrong_with_an_accord_that_runs(world: PostgresWorld, database_url: str) -> None:
    findings = await found(database_url)
    assert [finding for finding in findings.values() if finding.state is not State.OK] == []
    assert list(findings) == [check for check in CHECKS if check != "durability"]


async def test_a_database_that_is_away_is_the_only_finding() -> None:
    [finding] = await examine("postgresql://nobody@127.0.0.1:1/nothing", SystemClock())
    assert (finding.check, finding.state) == ("database", State.FAILED)
    assert "psql" in (finding.fix or "")


async def test_a_database_without_accord_is_to_be_migrated(postgres_url: str) -> None:
    findings = {finding.check: finding for finding in await examine(postgres_url, SystemClock())}
    assert findings["migrations"].state is State.FAILED
    assert findings["migrations"].fix == "accord migrate"
    assert "accord" not in findings


async def test_an_older_schema_is_to_be_migrated(world: PostgresWorld, database_url: str) -> None:
    await world.pool.execute("UPDATE stream.alembic_version SET version_num = '0001'")
    findings = await found(database_url)
    assert findings["migrations"].state is State.FAILED
    assert "accord" not in findings


async def test_an_accord_is_missed(world: PostgresWorld, database_url: str) -> None:
    await world.pool.execute("UPDATE api.accords SET effective_at = now() + interval '1 day'")
    assert (await found(database_url))["accord"].state is State.WARNING
    await world.pool.execute("TRUNCATE api.accords CASCADE")
    assert (await found(database_url))["accord"].state is State.FAILED


async def test_a_clock_that_is_off_is_told(world: PostgresWorld, database_url: str) -> None:
    late = ManualClock(SystemClock().now() - timedelta(seconds=3))
    finding = next(one for one in await examine(database_url, late) if one.check == "clock")
    assert finding.state is State.WARNING
    assert "3." in finding.found or "2.9" in finding.found


async def test_a_stopped_partition_is_to_be_resumed(world: PostgresWorld, database_url: str) -> None:
    await world.pool.execute(
        """UPDATE stream.ownership SET breaker = '{"is_stopped": true, "release": "1.2"}'
        WHERE service = 'stages' AND number = 2"""
    )
    finding = (await found(database_url))["breaker"]
    assert finding.state is State.FAILED
    assert "stages/2 (by release 1.2)" in finding.found
    assert "accord resume stages 2" in (finding.fix or "")


async def test_a_gap_is_told_with_what_is_missing(world: PostgresWorld, database_url: str) -> None:
    claim = await world.carrier.claim(Slot("scoring", "partition", 1), READERS["scoring"])
    await claim.note_missing(Missing("accord.activity.v1", "ingest/0", 5, 9))
    finding = (await found(database_url))["gaps"]
    assert finding.state is State.FAILED
    assert finding.found == "scoring/1 waits for ingest/0 5 to 8 on accord.activity.v1"
    assert "accord skip scoring 1" in (finding.fix or "")


async def test_partitions_that_nobody_runs_are_told(world: PostgresWorld, database_url: str) -> None:
    for number in (1, 3):
        slot = Slot("delivery", "partition", number)
        former = await world.carrier.claim(slot)
        await world.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
            f"accord-owner {former.slot.emitter}",
        )

    async def are_told() -> bool:
        return (await found(database_url))["owners"].found == "nobody runs delivery: 1, 3"

    await eventually(are_told)
    finding = (await found(database_url))["owners"]
    assert finding.state is State.FAILED
    assert "accord run delivery" in (finding.fix or "")


async def test_a_session_says_what_it_owns(world: PostgresWorld) -> None:
    await world.carrier.claim_lane("ingest")
    names = await world.pool.fetch(
        "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() ORDER BY 1"
    )
    assert {"accord-lane ingest/0", "accord-owner scoring/0", "accord-owner delivery/3"} <= {row[0] for row in names}


async def test_events_not_read_are_counted(world: PostgresWorld, database_url: str) -> None:
    lane = await world.carrier.claim_lane("ingest")
    await emit(lane, an_event("one"), an_event("two"))
    assert (await found(database_url))["lag"].found == "events not read: scoring 2"
    await world.pool.execute("UPDATE stream.sequences SET seq = 10001")
    finding = (await found(database_url))["lag"]
    assert finding.state is State.WARNING
    assert "accord run scoring" in (finding.fix or "")


async def test_open_dead_letters_are_counted(world: PostgresWorld, database_url: str) -> None:
    await world.pool.execute(
        """INSERT INTO stream.dead_letters (letter_id, service, topic, partition, log_offset, event_id, key,
            occurred_at, received_at, type, value, kind, message, buried_at, state)
        SELECT gen_random_uuid(), 'scoring', 't', 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'x', '',
            'k', 'm', now(), state FROM unnest(ARRAY['open', 'open', 'replayed', 'discarded']) AS state"""
    )
    assert (await found(database_url))["dead letters"].found == "open: scoring 2"


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("finding", "state"),
    [
        (fitness(14, "14.9"), State.FAILED),
        (fitness(15, "15.0 (Debian)"), State.OK),
        (durability([("fsync", "on"), ("synchronous_commit", "remote_write")]), State.OK),
        (durability([("fsync", "on"), ("synchronous_commit", "off")]), State.FAILED),
        (connections(80, 100), State.OK),
        (connections(81, 100), State.WARNING),
        (skew(NOON, NOON + timedelta(seconds=2), NOON + timedelta(seconds=2)), State.OK),
        (skew(NOON, NOON + timedelta(seconds=2), NOON), State.WARNING),
        (skew(NOON, NOON - timedelta(seconds=6), NOON), State.FAILED),
        (log(80, 100), State.OK),
        (log(81, 100), State.WARNING),
        (log(101, 100), State.FAILED),
    ],
)
def test_limits(finding: Finding, state: State) -> None:
    assert finding.state is state


@pytest.mark.parametrize(
    ("findings", "is_well"),
    [
        ([Finding("a", State.OK, "fine"), Finding("b", State.WARNING, "odd", "do this")], True),
        ([Finding("a", State.OK, "fine"), Finding("c", State.FAILED, "[bad]", "do that")], False),
    ],
)
def test_what_is_told_and_whether_anything_failed(findings: Sequence[Finding], is_well: bool) -> None:
    said, as_json = (io.StringIO(), io.StringIO())
    assert tell(findings, Console(file=said, soft_wrap=True), as_json=False) is is_well
    assert tell(findings, Console(file=as_json, soft_wrap=True), as_json=True) is is_well
    for finding in findings:
        assert f"{finding.check}: {finding.found}" in said.getvalue()
        assert finding.fix is None or f"-> {finding.fix}" in said.getvalue()
    assert [Finding(**one) for one in json.loads(as_json.getvalue())] == findings
