"""`accord audit` finds each kind of difference, and nothing else: one tampering at a time, each on its own copy of a
database that the line has filled."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from builders import eventually
from conftest import cloned
from database_addresses import database_of
from e2e.chaos_house import KEY, ChaosHouse
from e2e.chaos_traffic import Load, Sender, posts

from services.audit import run
from services.audit.findings import Check
from services.audit.report import first
from services.audit.reports_sql import BEHIND
from services.audit.run import audit

A_SCORED = "(SELECT event_id FROM scoring.history WHERE kind = 'activity' ORDER BY event_id LIMIT 1)"
A_BREACH = "(SELECT event_id FROM sla.clock_events WHERE type = 'accord.clock.breached' ORDER BY event_id LIMIT 1)"
A_RECYCLING = """(SELECT event_id FROM stages.history WHERE convert_from(body, 'UTF8')::json ->> 'actor' = 'sla-monitor'
    AND convert_from(body, 'UTF8')::json ->> 'action' = 'recycled' AND ignored IS NULL ORDER BY event_id LIMIT 1)"""
A_CLOCK = "(SELECT clock_id FROM sla.clocks ORDER BY clock_id LIMIT 1)"
ON_ACTIVITY = "topic_id = (SELECT topic_id FROM stream.topics WHERE name = 'accord.activity.v1') AND partition = 0"
OF_SCORING = "service = 'scoring' AND kind = 'partition' AND number = 0"
A_LETTER = """INSERT INTO stream.dead_letters (letter_id, service, topic, partition, log_offset, event_id, key,
    occurred_at, received_at, type, value, kind, message, buried_at)
SELECT gen_random_uuid(), 'scoring', 'accord.activity.v1', 0, 0, event_id, lead_id, now(), now(), '', '', '', '', now()
FROM scoring.history LIMIT 1"""
ANOTHER_CLOCK = """INSERT INTO sla.clocks SELECT (jsonb_populate_record(c, jsonb_build_object('clock_id',
    gen_random_uuid()))).* FROM sla.clocks c LIMIT 1"""
ANOTHER_OUTCOME = f"""INSERT INTO sla.clock_events SELECT lead_id, gen_random_uuid(), clock_id, 'accord.clock.met',
    occurred_at, rule, owner, level FROM sla.clock_events WHERE event_id = {A_BREACH}"""
MOVED_AHEAD = f"""UPDATE stream.ownership SET positions = jsonb_set(positions, '{{accord.activity.v1,1,ingest/0}}',
    '1000000') WHERE {OF_SCORING}"""
MOVED_PAST = f"UPDATE stream.ownership SET positions = replace(positions::text, '[', '[9')::jsonb WHERE {OF_SCORING}"
# Of the events that were posted: profiles that came with them have ids of their own, which nobody accepted.
POSTED = f"(SELECT log_offset FROM stream.log JOIN ingest.events_seen USING (event_id) WHERE {ON_ACTIVITY} LIMIT 2)"
LOST = f"DELETE FROM stream.log WHERE log_offset = (SELECT max(p) FROM {POSTED} AS posted(p)) AND {ON_ACTIVITY}"
ONE_ID = f"""WITH one AS (SELECT gen_random_uuid() AS id)
UPDATE stream.log SET event_id = one.id FROM one WHERE log_offset IN {POSTED} AND {ON_ACTIVITY}"""
UNTOLD = "UPDATE sla.promise_periods SET state = 'kept', settled_at = until, reached = 1, numerator = 1"
ANOTHER_SEEN = "INSERT INTO ingest.events_seen VALUES (gen_random_uuid(), now())"

# What is done to the tables, and which checks then find differences.
TAMPERINGS = {
    "UPDATE scoring.leads SET engagement = engagement + 1": {"scoring"},
    "UPDATE scoring.leads SET state = jsonb_set(state::jsonb, '{9}', '\"x@y.example\"')::text": {"scoring"},
    "UPDATE scoring.leads SET partition = 3 - partition": {"scoring"},
    "UPDATE scoring.history SET number = number + 1": {"scoring", "reports"},
    f"UPDATE scoring.history SET body = '[]' WHERE event_id = {A_SCORED}": {"scoring"},
    f"DELETE FROM scoring.history WHERE event_id = {A_SCORED}": {"accepted", "applied", "scoring", "scores"},
    "UPDATE scoring.history SET granted = NULL": {"ledger"},
    "UPDATE scoring.history SET granted = '[]' WHERE granted IS NOT NULL": {"ledger"},
    "UPDATE scoring.history SET granted = jsonb_set(granted::jsonb, '{3,0,1}', '7')::text": {"ledger"},
    "INSERT INTO scoring.grants SELECT * FROM scoring.ledger": {"ledger"},
    "UPDATE stages.leads SET owner = 'nobody'": {"stages"},
    "DELETE FROM stages.leads": {"stages"},
    f"DELETE FROM stages.history WHERE event_id = {A_RECYCLING}": {
        *("applied", "delivery", "effects", "lifecycle", "stages", "transitions")
    },
    "DELETE FROM stages.transitions": {"transitions", "reports"},
    "UPDATE stages.transitions SET occurred_at = occurred_at + interval '1 s'": {"transitions", "reports"},
    "UPDATE stages.turns SET turn = turn + 1": {"turns"},
    "UPDATE stages.loads SET leads = leads - 1": {"loads"},
    "UPDATE api.report_leads SET campaign = source": {"reports"},
    "UPDATE api.report_entries SET owner = NULL": {"reports"},
    "UPDATE api.report_days SET leads = leads + 1": {"reports"},
    "UPDATE api.report_outcomes SET linear_outcomes = linear_outcomes + 1": {"reports"},
    "INSERT INTO api.nobodies (nobody_id) SELECT lead_id FROM scoring.leads LIMIT 1": {"nobodies"},
    "INSERT INTO api.nobody_clocks SELECT gen_random_uuid(), 'x', 'met', NULL, NULL, now(), 1": {"nobodies"},
    "UPDATE sla.leads SET entry = entry + 1": {"sla"},
    "UPDATE sla.clocks SET deadline = deadline + interval '1 s'": {"clocks"},
    "UPDATE sla.clocks SET partition = 3 - partition": {"clocks"},
    f"DELETE FROM sla.clocks WHERE clock_id = {A_CLOCK}": {"clocks"},
    ANOTHER_CLOCK: {"clocks", "one_clock"},
    ANOTHER_OUTCOME: {"outcomes", "announcements", "delivery"},
    f"DELETE FROM sla.clock_events WHERE event_id = {A_BREACH}": {"announcements", "delivery"},
    "DELETE FROM sla.history": {"lifecycle", "sla", "clocks", "announcements", "promises"},
    "UPDATE sla.promise_entries SET is_counted = NOT is_counted": {"promises"},
    "UPDATE sla.promise_counts SET counted = counted + 1": {"promises"},
    UNTOLD: {"promises"},
    "DELETE FROM delivery.events WHERE number = 7": {"delivery"},
    "UPDATE delivery.events SET event_id = gen_random_uuid() WHERE number = 7": {"delivery"},
    ANOTHER_SEEN: {"accepted"},
    A_LETTER: {"accepted"},
    "UPDATE stream.sequences SET seq = seq + 1": {"numbers"},
    LOST: {"numbers", "offsets"},
    f"UPDATE stream.log SET seq = 7 - seq WHERE log_offset IN (2, 3) AND {ON_ACTIVITY}": {"numbers"},
    f"UPDATE stream.offsets SET next_offset = next_offset + 1 WHERE {ON_ACTIVITY}": {"offsets"},
    MOVED_AHEAD: {"positions"},
    MOVED_PAST: {"positions"},
    ONE_ID: {"repeated", "applied"},
    f"""WITH gone AS (DELETE FROM ingest.events_seen WHERE event_id = {A_SCORED})
        UPDATE stream.log SET event_id = gen_random_uuid() WHERE event_id = {A_SCORED}""": {"applied", "origins"},
}


@pytest.fixture(scope="module")
def filled(postgres_url: str, template_database: str) -> Iterator[str]:
    """The name of a database that the line has filled and left."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        Path(folder).chmod(0o755)
        database = cloned(postgres_url, template_database)
        address = runner.run(anext(database))
        runner.run(_fill(Path(folder) / "house", address))
        yield database_of(address)
        runner.run(database.aclose())


async def _fill(folder: Path, database_url: str) -> None:
    house = ChaosHouse(folder, database_url)
    try:
        await house.start()
        async with aiohttp.ClientSession() as session:
            sender = Sender(session, KEY, [house.url])
            for post in islice(posts(6_000), 40):
                await sender.post(post)
        await house.audit(sender.accepted)
        await eventually(lambda: _is_rolled_up(house), within=30)
    finally:
        house.end()


async def _is_rolled_up(house: ChaosHouse) -> bool:
    """Whether reports can be compared of every lead: the api follows the log at its own pace."""
    (row,) = await house.ask(f"WITH {BEHIND} SELECT NOT EXISTS (TABLE lost) AND NOT EXISTS (TABLE behind) AS is_so")
    return bool(row["is_so"])


@pytest.fixture
async def line_url(postgres_url: str, filled: str) -> AsyncIterator[str]:
    """A copy of the filled database."""
    async for address in cloned(postgres_url, filled):
        yield address


@pytest.mark.parametrize("statement", TAMPERINGS)
async def test_what_was_tampered_with_is_found_and_nothing_else(line_url: str, statement: str) -> None:
    await _execute(line_url, statement)
    found = await audit(line_url)
    sentences = "\n".join(sentence for _, sentence in first(found))
    assert {str(check) for check in found.findings.differences} == TAMPERINGS[statement], sentences
    assert "@" not in sentences


async def test_every_check_is_tampered_with() -> None:
    assert set().union(*TAMPERINGS.values()) == {str(check) for check in Check} - {"shipped"}


async def test_the_first_differences_are_shown_and_all_are_counted(line_url: str) -> None:
    await _execute(line_url, "UPDATE scoring.leads SET engagement = engagement + 1; DELETE FROM sla.clocks")
    found = await audit(line_url)
    assert found.findings.differences[Check.SCORING] == found.counts["leads"]
    assert len(first(found)) == 20
    assert {check for check, _ in first(found)} == {Check.SCORING, Check.CLOCKS}


async def test_several_processes_find_what_one_finds(line_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await _execute(line_url, "UPDATE scoring.leads SET engagement = engagement + 1")
    alone = await audit(line_url)
    monkeypatch.setattr(run, "INPUTS_PER_PROCESS_MIN", 1)
    together = await audit(line_url, processes=3)
    assert together.findings.checked == alone.findings.checked
    assert together.findings.differences == alone.findings.differences
    assert together.counts == alone.counts


async def test_a_line_under_load_is_clean_whenever_it_is_looked_at(
    open_folder: Path, session: aiohttp.ClientSession
) -> None:
    house = ChaosHouse(open_folder / "house")
    try:
        await house.start()
        sender = Sender(session, KEY, [house.url])
        async with Load(sender, 7_000) as load:
            for _ in range(3):
                await load.goes_on(10)
                found = await audit(house.database_url)
                assert found.is_clean, first(found)
        await _commands(house)
    finally:
        house.end()


async def _commands(house: ChaosHouse) -> None:
    """As a person and as cron see it: on the running system, on a stopped one, and where there is none."""
    where = ("audit", "--data", str(house.folder))
    code, said = await house.run(*where)
    assert code == 0, said
    assert said.splitlines()[-1].startswith("CLEAN")
    await _execute(house.database_url, ANOTHER_SEEN)
    house.process.stop()
    await eventually(lambda: house.postmaster() == 0, within=10)
    code, said = await house.run(*where, "--json")
    found = json.loads(said.splitlines()[-1])
    assert (code, found["clean"], found["checks"]["accepted"]["differences"]) == (1, False, 1)
    assert [line["check"] for line in found["first"]] == ["accepted"]
    assert (await house.run("audit", "--data", str(house.folder.parent)))[0] == 2


async def _execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
