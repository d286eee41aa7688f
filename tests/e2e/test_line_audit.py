"""The audit that the fault tests rely on finds what they are there to exclude: one tampered row at a time."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from e2e.chaos_house import KEY, ChaosHouse
from e2e.chaos_traffic import Sender, posts
from line_audit import audit

ONE_SCORED = "(SELECT event_id FROM scoring.history WHERE kind = 'activity' ORDER BY event_id LIMIT 1)"
# What is done to the tables, and what the audit then says first.
TAMPERINGS = (
    ("UPDATE scoring.leads SET engagement = engagement + 1", "scoring differs from its fold"),
    ("UPDATE stages.leads SET owner = 'nobody'", "stages differs from its fold"),
    ("UPDATE sla.leads SET entry = entry + 1", "sla_monitor differs from its fold"),
    ("UPDATE sla.clocks SET deadline = deadline + interval '1s'", "a clock differs from the fold"),
    ("DELETE FROM scoring.grants", "the ledger differs from the fold"),
    ("DELETE FROM stages.transitions", "the transitions differ from the fold"),
    (f"DELETE FROM scoring.history WHERE event_id = {ONE_SCORED}", "missing in the histories and dead letters"),
    (
        "UPDATE stages.history SET event_id = gen_random_uuid() WHERE body IS NOT NULL",
        "nobody sent, but in the histories and dead letters",
    ),
    ("DELETE FROM stages.history WHERE body IS NULL", "missing in the scores that stages has applied"),
    ("DELETE FROM sla.history", "missing in the history of sla_monitor"),
    ("DELETE FROM delivery.events", "missing in the events of delivery"),
    ("UPDATE stream.sequences SET seq = seq + 1", "stream"),
)


@pytest.fixture
def house(open_folder: Path, database_url: str) -> Iterator[ChaosHouse]:
    house = ChaosHouse(open_folder / "house", database_url)
    yield house
    house.end()


async def test_the_audit_says_what_differs_in_a_line_that_was_tampered_with(
    house: ChaosHouse, session: aiohttp.ClientSession, database_url: str
) -> None:
    await house.start()
    sender = Sender(session, KEY, [house.url])
    for post in islice(posts(6_000), 60):
        await sender.post(post)
    found = await house.audit(sender.accepted)
    assert found.clocks > 0
    house.end()
    for statement, finding in TAMPERINGS:
        assert finding not in (await audit(database_url, sender.accepted)).found
        connection = await asyncpg.connect(database_url)
        await connection.execute(statement)
        await connection.close()
        assert finding in (await audit(database_url, sender.accepted)).found, statement
