"""Lists of clocks and breaches, and how promises were kept, over tables that the test has filled."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from api_builders import Caller, running_line
from sqlalchemy import ClauseElement, Executable
from sqlalchemy.dialects import postgresql

from services.api.store.attainment import AttainmentStore
from services.api.store.clocks import STATES, ClockFilter, ClockStore
from services.api.store.database import Database, Row
from services.api.store.periods import Period

MONDAY = datetime(2026, 11, 23, 14, tzinfo=UTC)  # 09:00 in New York
YEAR = "&from=2026-10-01T00:00:00Z&to=2026-12-31T00:00:00Z"
ADA, GRACE = "ada@sales.example", "grace@sales.example"
A_CLOCK = """INSERT INTO sla.clocks (clock_id, lead_id, partition, rule, attempt, accord, entry, state, owner, team,
        started_at, deadline, ladder_steps, met_at, breached_at, announced_at, lateness_seconds, is_lagging,
        response_seconds, pauses, paused_until)
    VALUES ($1, $2, 0, $3, 1, 1, 1, $4, $5, $6, $7, $8, 0, CASE WHEN $4 = 'met' THEN $7::timestamptz END,
        CASE WHEN $4 IN ('breached', 'resolved', 'voided') THEN $8::timestamptz END,
        CASE WHEN $4 IN ('breached', 'resolved', 'voided') THEN $8::timestamptz + interval '3 s' END,
        CASE WHEN $4 IN ('breached', 'resolved', 'voided') THEN 3 END, false, $9, $10, $11)"""


def clock_id(number: int) -> UUID:
    return UUID(int=number)


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "api") as caller:
        yield caller


async def put(pool: asyncpg.Pool, number: int, state: str, **more: Any) -> None:
    """One clock; each has a lead of its own and starts an hour after the one with the number before."""
    at: datetime = more.get("started_at", MONDAY + timedelta(hours=number))
    deadline = more.get("deadline", at + timedelta(hours=1))
    names = (more.get("rule", "first-contact"), state, more.get("owner", ADA), more.get("team", "enterprise"))
    rest = (more.get("spent"), more.get("pauses", "[]"), more.get("paused_until"))
    await pool.execute(A_CLOCK, clock_id(number), UUID(int=1000 + number), *names, at, deadline, *rest)


async def numbers(caller: Caller, path: str) -> list[int]:
    """The clocks that a list gives, page by page."""
    page = (await caller.get(path)).json
    found = list(page["items"])
    while page["next"]:
        page = (await caller.get(f"{path}&cursor={page['next']}")).json
        found += page["items"]
    return [UUID(item["id"]).int for item in found]


async def test_the_latest_deadline_comes_first_where_that_is_asked_for(caller: Caller, pool: asyncpg.Pool) -> None:
    for number in range(1, 6):
        await put(pool, number, "voided" if number != 3 else "open")
    assert await numbers(caller, "/v1/clocks?state=voided&sort=-deadline&limit=2") == [5, 4, 2, 1]
    assert await numbers(caller, "/v1/clocks?sort=-deadline&limit=2") == [5, 4, 3, 2, 1]
    first = (await caller.get("/v1/clocks?limit=2")).json
    assert (await caller.get(f"/v1/clocks?sort=-deadline&cursor={first['next']}")).status == 422


async def test_clocks_come_by_deadline_in_pages_and_filtered(caller: Caller, pool: asyncpg.Pool) -> None:
    for number in range(1, 10):
        state = STATES[number % len(STATES)]
        owner, team = (ADA, "enterprise") if number % 2 else (GRACE, "commercial")
        rule = "first-contact" if number % 3 else "accept-or-reject"
        await put(pool, number, state, owner=owner, team=team, rule=rule)
    assert await numbers(caller, "/v1/clocks?limit=4") == list(range(1, 10))
    assert await numbers(caller, "/v1/clocks?limit=2&state=open,warned,paused") == [1, 7, 9]
    assert await numbers(caller, f"/v1/clocks?limit=2&owner={GRACE}") == [2, 4, 6, 8]
    assert await numbers(caller, "/v1/clocks?limit=2&team=commercial&rule=accept-or-reject") == [6]
    assert await numbers(caller, f"/v1/clocks?limit=2&lead={UUID(int=1005)}") == [5]
    assert await numbers(caller, "/v1/breaches?limit=1") == [4, 3]
    assert await numbers(caller, f"/v1/breaches?limit=1&owner={ADA}") == [3]
    assert (await caller.get("/v1/clocks?lead=nobody")).status == 422
    assert (await caller.get("/v1/clocks?state=late")).status == 422


async def test_a_paused_clock_shows_in_its_working_what_counted_and_what_did_not(
    caller: Caller, pool: asyncpg.Pool
) -> None:
    pause = f'[["{MONDAY + timedelta(hours=1):%Y-%m-%dT%H:%M:%S+00:00}", "2026-11-23T18:00:00+00:00"]]'
    await put(
        pool,
        1,
        "paused",
        started_at=MONDAY,
        deadline=datetime(2026, 11, 24, 17, 30, tzinfo=UTC),
        pauses=pause,
        paused_until=datetime(2026, 11, 23, 18, tzinfo=UTC),
    )
    (clock,) = (await caller.get("/v1/clocks?state=paused")).json["items"]
    parts = [(part["from"][11:16], part["to"][11:16], part["counted"], part["why"]) for part in clock["working"]]
    assert parts == [
        ("14:00", "15:00", True, "open"),
        ("15:00", "18:00", False, "snoozed"),
        ("18:00", "22:30", True, "open"),
        ("22:30", "14:00", False, "night"),
        ("14:00", "17:30", True, "open"),
    ]
    assert clock["paused_until"] == "2026-11-23T18:00:00Z"


async def test_a_breach_says_how_late_it_was_announced(caller: Caller, pool: asyncpg.Pool) -> None:
    await put(pool, 1, "breached")
    (clock,) = (await caller.get("/v1/breaches")).json["items"]
    assert (clock["lateness_seconds"], clock["lagging"]) == (3, False)
    assert (clock["deadline"], clock["announced_at"]) == ("2026-11-23T16:00:00Z", "2026-11-23T16:00:03Z")


async def test_attainment_counts_what_was_kept_and_leaves_out_what_was_late_from_the_start(
    caller: Caller, pool: asyncpg.Pool
) -> None:
    kept = [("met", ADA, 600), ("met", ADA, 1800), ("resolved", ADA, 7200), ("voided", ADA, 3000), ("open", ADA, None)]
    others = [("late_start", ADA, None), ("met", GRACE, 60), ("cancelled", GRACE, None), ("breached", None, None)]
    for number, (state, owner, spent) in enumerate([*kept, *others], 1):
        await put(pool, number, state, owner=owner, spent=spent, team=None if owner is None else "enterprise")
    found = (await caller.get(f"/v1/attainment?by=owner{YEAR}")).json["items"]
    nothing = {"median_seconds": None, "p90_seconds": None}
    assert found == [
        {"key": None, "started": 1, "met": 0, "breached": 1, "voided": 0, "share_met": 0.0, **nothing},
        {
            **{"key": ADA, "started": 5, "met": 2, "breached": 1, "voided": 1, "share_met": pytest.approx(2 / 3)},
            **{"median_seconds": 2400, "p90_seconds": pytest.approx(5940)},
        },
        {
            **{"key": GRACE, "started": 2, "met": 1, "breached": 0, "voided": 0, "share_met": 1.0},
            **{"median_seconds": 60, "p90_seconds": 60},
        },
    ]
    by_clock = (await caller.get(f"/v1/attainment?by=clock&owner={GRACE}{YEAR}")).json["items"]
    assert [(row["key"], row["started"], row["share_met"]) for row in by_clock] == [("first-contact", 2, 1.0)]
    assert (await caller.get("/v1/attainment?by=colour")).status == 422
    without = (await caller.get(f"/v1/attainment?owner={GRACE}{YEAR}")).json["items"]
    assert without == by_clock


async def test_weeks_begin_on_monday_where_the_accord_is_and_pages_go_on(caller: Caller, pool: asyncpg.Pool) -> None:
    midnight = datetime(2026, 11, 23, 5, tzinfo=UTC)  # the first instant of Monday in New York
    for number, at in enumerate((midnight - timedelta(seconds=1), midnight, midnight + timedelta(days=7)), 1):
        await put(pool, number, "open", started_at=at)
    path = f"/v1/attainment?by=week&limit=1{YEAR}"
    keys = []
    page = (await caller.get(path)).json
    while True:
        keys += [(row["key"], row["started"], row["share_met"]) for row in page["items"]]
        if page["next"] is None:
            break
        page = (await caller.get(f"{path}&cursor={page['next']}")).json
    assert keys == [("2026-11-16", 1, None), ("2026-11-23", 1, None), ("2026-11-30", 1, None)]
    one = "/v1/attainment?by=week&from=2026-11-23T05:00:00Z&to=2026-11-30T00:00:00Z"
    assert [row["key"] for row in (await caller.get(one)).json["items"]] == ["2026-11-23"]


class Explaining(Database):
    """Asks Postgres how it would run each statement."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def rows(self, statement: Executable, values: Row | None = None) -> Sequence[Row]:
        assert isinstance(statement, ClauseElement)
        assert values is None
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        return [{"plan": row[0]} for row in await self._pool.fetch(f"EXPLAIN {compiled}")]


async def test_lists_walk_an_index_however_many_clocks_there_are(pool: asyncpg.Pool) -> None:
    await pool.execute(
        """INSERT INTO sla.clocks (clock_id, lead_id, partition, rule, attempt, accord, entry, state, owner, started_at,
            deadline, ladder_steps, breached_at, is_lagging)
        SELECT gen_random_uuid(), gen_random_uuid(), 0, 'r', 1, 1, 1,
            (ARRAY['open', 'met', 'breached', 'resolved', 'cancelled'])[1 + n % 5], 'owner ' || n % 50,
            now() + n * interval '1 s', now() + n * interval '2 s', 0, now() + n * interval '2 s', false
        FROM generate_series(1, 20000) AS n"""
    )
    await pool.execute("ANALYZE sla.clocks")
    store = ClockStore(Explaining(pool))
    after = (datetime.now(UTC), UUID(int=7))  # noqa: TID251
    for keys in (None, after):
        for of in (ClockFilter(), ClockFilter(owner="owner 7"), ClockFilter(lead_id=UUID(int=9))):
            for rows in (
                await store.page(("open", "warned"), keys, 51, of),
                await store.page((), keys, 51, of),
                await store.breaches(keys, 51, of),
            ):
                plan = "\n".join(row["plan"] for row in rows)
                assert "Seq Scan" not in plan, plan
    since = datetime.now(UTC) + timedelta(days=300)  # noqa: TID251
    period = Period(since, since + timedelta(days=7), "UTC")
    plans = await AttainmentStore(Explaining(pool)).page("owner", None, 51, period, ClockFilter())
    assert "ix_clocks_started_at" in "\n".join(row["plan"] for row in plans)
