"""Lists of leads beside a plain Python model: filters, sorts, pages, words; fresh, refreshed, and never by a scan."""

import base64
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID, uuid5

import asyncpg
import pytest
from api_builders import Caller, running_line
from builders import eventually
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.api.sweeper import lists as sweeper
from services.scoring.model.rules import instant

NOW = datetime.now(UTC)  # noqa: TID251 (decay is as of the machine's clock)
STAGES, OWNERS, GRADES = ("lead", "mql", "sal"), (None, "ann@s.example", "ben@s.example"), ("A", "B", "D")
SOURCES, COMPANIES = ("website", "events"), ("Acme", "Öl & Co", "100%_sure", "Initech")
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    id: UUID
    engagement: float
    fit: int
    updated: datetime
    deadline: datetime
    stage: str
    grade: str
    owner: str | None
    source: str
    words: str


def made_up(number: int) -> Row:
    dice = random.Random(number)
    stage = dice.choice(STAGES)
    owner = dice.choice(OWNERS) if stage != "lead" else None
    if owner is None and stage != "lead":
        owner = "unassigned"
    words = f" p{number}@{dice.choice(('x', 'yy'))}.example {dice.choice(COMPANIES)}".lower()
    updated = NOW - timedelta(minutes=dice.randrange(500))
    deadline = dice.choice((FOREVER, NOW + timedelta(minutes=dice.randrange(500))))
    points = (float(dice.randrange(6) * 10), dice.randrange(4))
    id = uuid5(UUID(int=2), str(number))
    return Row(id, *points, updated, deadline, stage, dice.choice(GRADES), owner, dice.choice(SOURCES), words)


ROWS = [made_up(number) for number in range(60)]


async def write(pool: asyncpg.Pool, row: Row) -> None:
    state: list[Any] = [1, 1, 1, instant(row.updated), {}, {}, {}, {}, {}, "x@x.example", row.source, None, row.source]
    state += ["marketing", row.engagement, row.fit, [], row.grade]
    columns = "(lead_id, engagement, fit, grade, state, partition, accord)"
    await pool.execute(
        f"INSERT INTO scoring.leads {columns} VALUES ($1, $2, $3, $4, $5, 0, 1)",
        *(row.id, row.engagement, row.fit, row.grade, json.dumps(state)),
    )
    await pool.execute(
        "INSERT INTO api.lead_index VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        *(row.id, row.engagement, row.fit, row.updated, row.deadline, row.stage, row.grade, row.owner, row.source),
    )
    await pool.execute("INSERT INTO api.lead_words VALUES ($1, $2)", row.id, row.words)


@pytest.fixture
async def filled(database_url: str, pool: asyncpg.Pool) -> AsyncIterator[Caller]:
    for row in ROWS:
        await write(pool, row)
    async with running_line(database_url, "api") as caller:
        yield caller


@pytest.fixture
async def line(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url) as caller:
        yield caller


KEYS = {
    "engagement": lambda row: (-row.engagement, -row.id.int),
    "fit": lambda row: (-row.fit, -row.id.int),
    "updated": lambda row: (-row.updated.timestamp(), -row.id.int),
    "deadline": lambda row: (row.deadline, row.id.int),
}


def matches(row: Row, asked: dict[str, Any]) -> bool:
    equal = all(getattr(row, name) == asked[name] for name in ("stage", "grade", "owner", "source") if name in asked)
    q = asked.get("q", "")
    is_said = (f" {q}" if len(q) < 3 else q).lower() in row.words
    return equal and is_said and row.engagement >= asked.get("min_engagement", 0)


async def every_page(caller: Caller, asked: dict[str, Any], limits: list[int]) -> list[UUID]:
    """Page after page; a page may be of another size than the one before."""
    query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in asked.items())
    found: list[UUID] = []
    cursor = ""
    for limit in cycle(limits):
        answer = await caller.get(f"/v1/leads?{query}&limit={limit}{cursor}")
        assert answer.status == 200, answer.body
        found += [UUID(item["id"]) for item in answer.json["items"]]
        if answer.json["next"] is None:
            return found
        assert len(answer.json["items"]) == limit
        cursor = f"&cursor={answer.json['next']}"
    raise AssertionError("pages end")


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=4)
# Parts of what is said of some lead, and signs that mean something to SQL.
SAID = st.builds(
    lambda row, at, size: row.words[at : at + size], st.sampled_from(ROWS), st.integers(0, 25), st.integers(1, 20)
)
SIGNS = st.sampled_from(("%", "_", "0%_s", "\\", "' OR 1=1 --", "AC", "Öl"))
ASKED = st.fixed_dictionaries(
    {"sort": st.sampled_from(sorted(KEYS))},
    optional={
        "stage": st.sampled_from(STAGES),
        "grade": st.sampled_from(GRADES),
        "owner": st.sampled_from((*OWNERS[1:], "unassigned", "nobody")),
        "source": st.sampled_from((*SOURCES, "elsewhere")),
        "min_engagement": st.sampled_from((0, 10, 25.5)) | st.floats(-10, 60),
        "q": (SAID | SIGNS | TEXTS).filter(bool),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=ASKED, limits=st.lists(st.integers(1, 25), min_size=1, max_size=4))
async def test_every_page_of_every_list_is_what_a_plain_model_says(
    filled: Caller, asked: dict[str, Any], limits: list[int]
) -> None:
    expected = [row.id for row in sorted(ROWS, key=KEYS[asked["sort"]]) if matches(row, asked)]
    assert await every_page(filled, asked, limits) == expected


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cursor=TEXTS | st.binary(max_size=40).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")))
async def test_what_no_list_gave_as_a_cursor_is_refused(filled: Caller, cursor: str) -> None:
    answer = await filled.get(f"/v1/leads?cursor={quote(cursor, safe='')}")
    assert (answer.status, [error["path"] for error in answer.json["errors"]]) == (422, ["cursor"])


async def test_pages_neither_repeat_nor_lose_a_lead_that_stays_while_others_come_and_go(
    filled: Caller, pool: asyncpg.Pool
) -> None:
    seen: list[UUID] = []
    cursor, number = "", 1_000
    while True:
        page = (await filled.get(f"/v1/leads?sort=fit&limit=7{cursor}")).json
        seen += [UUID(item["id"]) for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
        for _ in range(3):
            await write(pool, made_up(number))
            number += 1
    assert len(seen) == len(set(seen))
    assert {row.id for row in ROWS} <= set(seen)


async def test_a_list_shows_what_has_just_happened(line: Caller) -> None:
    for number in range(5):
        email = f"p{number}@acme.example"
        await line.post_event("demo.requested", email, profile={"company": "Zyx Ltd"})
        await line.lead_in_stage(email, "lead")
        found = (await line.get(f"/v1/leads?q=p{number}@acme")).json["items"]
        assert [lead["email"] for lead in found] == [email]
    assert len((await line.get("/v1/leads?q=zyx")).json["items"]) == 5
    acted = await line.post("/v1/leads/p0@acme.example/actions", {"action": "accepted"}, prefer="wait=10")
    assert acted.status == 200
    assert [lead["email"] for lead in (await line.get("/v1/leads?stage=sal")).json["items"]] == ["p0@acme.example"]


EARNED_BEFORE = """UPDATE scoring.leads SET state = jsonb_set(state::jsonb, '{4}', (
    SELECT jsonb_object_agg(rule, jsonb_set(total, '{1}', to_jsonb((total ->> 1)::bigint - 14 * 86400000000)))
    FROM jsonb_each(state::jsonb -> 4) AS totals (rule, total)))::text"""


async def test_the_engagement_that_lists_go_by_decays_with_the_time(line: Caller, pool: asyncpg.Pool) -> None:
    await line.post_event("demo.requested", "mary@acme.example")
    await line.lead_in_stage("mary@acme.example", "lead")
    await line.get("/v1/leads")
    earned = await pool.fetchval("SELECT engagement FROM api.lead_index")
    # As if it had been earned two weeks before, which is a half-life, and the list had last looked then.
    await pool.execute(EARNED_BEFORE)
    await pool.execute("UPDATE api.lead_index SET refresh_at = now() - interval '1 second'")

    async def is_refreshed() -> bool:
        return bool(await pool.fetchval("SELECT engagement FROM api.lead_index") < earned - 1)

    await eventually(is_refreshed, within=10)
    row = await pool.fetchrow("SELECT engagement, refresh_at - now() AS again FROM api.lead_index")
    assert row["engagement"] == pytest.approx(earned / 2, abs=0.1)
    assert timedelta(minutes=9) < row["again"] <= timedelta(minutes=10)


async def test_lists_that_lost_the_thread_walk_over_all_leads(database_url: str, pool: asyncpg.Pool) -> None:
    async with running_line(database_url) as line:
        for number in range(3):
            await line.post_event("page.viewed", f"p{number}@acme.example")
            await line.lead_in_stage(f"p{number}@acme.example", "lead")
    await pool.execute("TRUNCATE api.lead_index, api.lead_words, api.list_places")
    async with running_line(database_url, "api") as caller:

        async def all_are_there() -> bool:
            return len((await caller.get("/v1/leads")).json["items"]) == 3

        await eventually(all_are_there, within=10)


async def test_two_processes_follow_one_after_the_other(database_url: str) -> None:
    async with running_line(database_url) as first, running_line(database_url, "api") as second:
        for number in range(10):
            await first.post_event("page.viewed", f"p{number}@acme.example")
            await first.lead_in_stage(f"p{number}@acme.example", "lead")

        async def both_show_all() -> bool:
            lists = [(await caller.get("/v1/leads")).json["items"] for caller in (first, second)]
            return [len(items) for items in lists] == [10, 10]

        await eventually(both_show_all, within=10)


async def test_a_pass_in_slices_brings_all_that_the_log_spoke_of(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "LEADS_MAX", 2)
    async with running_line(database_url) as line:
        for number in range(7):
            await line.post_event("page.viewed", f"p{number}@acme.example")
        for number in range(7):
            await line.lead_in_stage(f"p{number}@acme.example", "lead")

        async def all_are_there() -> bool:
            return len((await line.get("/v1/leads")).json["items"]) == 7

        await eventually(all_are_there, within=10)
