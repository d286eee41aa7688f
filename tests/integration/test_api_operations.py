"""How the line is, over HTTP: each service, what holds it up, and the verdict that `accord audit` left."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from api_builders import LINE, Caller, running_line
from builders import eventually
from patience import within

from services.audit.findings import Check, Findings
from services.audit.main import CLEAN
from services.audit.recording import KEPT_MAX, record
from services.audit.run import Audit

AUDIT_SECONDS = 60
AT = datetime(2026, 11, 2, 15, tzinfo=UTC)
STOPPED = """UPDATE stream.ownership SET breaker = '{"is_stopped": true, "release": "1.2"}'
    WHERE service = 'stages' AND kind = 'partition' AND number = 1"""
GAP = """INSERT INTO stream.gaps (service, partition, epoch, topic, emitter, expected_seq, found_seq, found_at)
    SELECT service, number, epoch, 'accord.score.v1', 'scoring/2', 7, 10, $1 FROM stream.ownership
    WHERE service = 'stages' AND kind = 'partition' AND number = 2"""
UNREAD = """UPDATE stream.sequences SET seq = seq + 3 WHERE (emitter_id, topic_id, partition) = (
    SELECT emitter_id, topic_id, partition FROM stream.sequences JOIN stream.topics USING (topic_id)
    WHERE name = 'accord.activity.v1' LIMIT 1)"""

READ_ONLY = """DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
END $$"""


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url) as caller:
        yield caller


async def services_of(caller: Caller) -> dict[str, Any]:
    answer = await caller.get("/v1/operations")
    assert answer.status == 200, answer.body
    return {one["service"]: one for one in answer.json["services"]}


async def test_every_service_is_told_with_what_it_has_read(caller: Caller) -> None:
    before = await services_of(caller)
    assert set(LINE) <= set(before)
    assert [before[name]["owned"] for name in ("scoring", "stages", "sla-monitor")] == [4, 4, 4]
    assert [before[name]["lanes"] for name in ("ingest", "api")] == [1, 1]
    await caller.post_event("demo.requested", "mary@acme.example")
    await caller.lead_in_stage("mary@acme.example", "lead")
    after: dict[str, Any] = {}

    async def is_all_read() -> bool:
        after.update(await services_of(caller))
        return after["stages"]["read"] >= 1 and not after["scoring"]["unread"]

    await eventually(is_all_read, within=10)
    assert (after["ingest"]["emitted"], after["scoring"]["read"]) == (1, 1)
    assert after["scoring"]["oldest_unread_seconds"] is None
    assert (after["scoring"]["stopped"], after["scoring"]["waiting"], after["scoring"]["dead_letters"]) == ([], [], 0)


async def test_what_holds_a_service_up_is_told(caller: Caller, pool: asyncpg.Pool) -> None:
    await caller.post_event("demo.requested", "mary@acme.example")
    await caller.lead_in_stage("mary@acme.example", "lead")

    async def is_quiet() -> bool:
        return not any(one["unread"] for one in (await services_of(caller)).values())

    await eventually(is_quiet)  # a step under way would write its own breaker over the one below
    await pool.execute(GAP, AT)
    await pool.execute(STOPPED)
    found = (await services_of(caller))["stages"]
    assert found["stopped"] == [{"partition": 1, "release": "1.2"}]
    missing = {"first_missing": 7, "last_missing": 9, "since": "2026-11-02T15:00:00Z"}
    assert found["waiting"] == [{"partition": 2, "topic": "accord.score.v1", "emitter": "scoring/2", **missing}]


async def test_what_is_not_read_yet_is_counted_by_numbers(database_url: str, pool: asyncpg.Pool) -> None:
    async with running_line(database_url) as caller:
        await caller.post_event("demo.requested", "mary@acme.example")
        await caller.lead_in_stage("mary@acme.example", "lead")
    async with running_line(database_url, "ingest", "api") as caller:
        await pool.execute(UNREAD)
        found = await services_of(caller)
        assert (found["scoring"]["unread"], found["scoring"]["owned"], found["scoring"]["partitions"]) == (3, 0, 4)


async def test_the_last_verdict_of_an_audit_is_told_with_what_differed(caller: Caller, database_url: str) -> None:
    assert (await caller.get("/v1/operations")).json["audit"] is None
    findings = Findings(counts={"leads": 3})
    findings.saw(Check.SCORING, 3)
    findings.saw(Check.LEDGER, 9)
    assert await record(database_url, Audit(findings, AT, {}, {}, 1.5))
    findings.note(Check.LEDGER, "scoring.grants: points is 4, not 5")
    assert await record(database_url, Audit(findings, AT + timedelta(days=1), {"stages": 2}, {}, 1.5))
    verdict = (await caller.get("/v1/operations")).json["audit"]
    assert (verdict["clean"], verdict["differences"], verdict["taken_at"]) == (False, 1, "2026-11-03T15:00:00Z")
    assert [(check["check"], check["looked_at"], check["differences"]) for check in verdict["checks"]] == [
        ("scoring", 3, 0),
        ("ledger", 9, 1),
    ]
    assert verdict["first"] == [{"check": "ledger", "difference": "scoring.grants: points is 4, not 5"}]
    assert (verdict["in_flight"], verdict["counts"]) == ({"stages": 2}, {"leads": 3})


async def test_only_the_latest_verdicts_stay(pool: asyncpg.Pool, database_url: str) -> None:
    for day in range(KEPT_MAX + 3):
        assert await record(database_url, Audit(Findings(), AT + timedelta(days=day), {}, {}))
    kept = await pool.fetchrow("SELECT count(*), min(taken_at) FROM stream.audits")
    assert tuple(kept) == (KEPT_MAX, AT + timedelta(days=3))


async def test_where_nothing_can_be_written_a_verdict_is_told_and_not_recorded(
    pool: asyncpg.Pool, database_url: str
) -> None:
    await pool.execute(READ_ONLY)
    assert not await record(database_url, Audit(Findings(), AT, {}, {}))


async def test_accord_audit_leaves_its_verdict(caller: Caller, database_url: str) -> None:
    command = (sys.executable, "-m", "services.cli", "audit", "--json", "--processes", "1")
    environment = {**os.environ, "ACCORD_DATABASE_URL": database_url}
    audit = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
    async with within(AUDIT_SECONDS):
        told, complained = await audit.communicate()
    assert (audit.returncode, json.loads(told)["clean"], complained) == (CLEAN, True, b"")
    verdict = (await caller.get("/v1/operations")).json["audit"]
    assert (verdict["clean"], verdict["differences"]) == (True, 0)
    checks = {check["check"]: (check["must_hold"], check["unit"]) for check in verdict["checks"]}
    assert checks["positions"] == ("no reader skipped, or is ahead of an emitter", "positions")


async def test_a_verdict_that_can_t_be_recorded_is_told_all_the_same(pool: asyncpg.Pool, database_url: str) -> None:
    async with running_line(database_url):
        pass
    await pool.execute(READ_ONLY)
    command = (sys.executable, "-m", "services.cli", "audit", "--processes", "1")
    environment = {**os.environ, "ACCORD_DATABASE_URL": database_url}
    audit = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
    async with within(AUDIT_SECONDS):
        told, complained = await audit.communicate()
    assert (audit.returncode, "CLEAN" in told.decode()) == (CLEAN, True)
    assert b"not recorded for GET /v1/operations: this database is read only" in complained
