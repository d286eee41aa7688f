"""What is told of promises on many leads in a whole house: to subscribers, and to whoever watches its metrics."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from api_builders import LINE, Caller, running_line
from builders import eventually
from pydantic_core import from_json

from services.audit.report import first
from services.audit.run import audit
from services.sla_monitor.sweeper import promises
from shared.events.promises import promise_key

PERIODS = "SELECT promise, since, until, state FROM sla.promise_periods ORDER BY promise"
# As if the house had been told of this promise three weeks ago.
LONG_AGO = """UPDATE sla.promise_periods SET since = since - interval '21 days', until = until - interval '21 days',
    judged_through = since - interval '21 days' WHERE promise = 'leads-per-week'"""
TOLD = "SELECT lead_id, body::text AS body FROM delivery.events WHERE type = 'accord.promise.breached'"
COUNTS = "SELECT promise, entries, counted FROM sla.promise_counts ORDER BY promise"


@pytest.fixture
async def caller(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Caller]:
    monkeypatch.setattr(promises, "LOOK_SECONDS", 0.2)
    async with running_line(database_url, *LINE, "delivery") as caller:
        yield caller


async def test_every_promise_of_the_accord_is_judged_from_its_next_period_on(
    caller: Caller, pool: asyncpg.Pool
) -> None:
    asked = (await caller.get("/v1/promises")).json["items"]
    running = {item["promise"]: item["period"]["until"] for item in asked if item["state"] == "running"}

    async def all_begun() -> bool:
        rows = await pool.fetch(PERIODS)
        return {row["promise"]: f"{row['since']:%Y-%m-%dT%H:%M:%SZ}" for row in rows} == running

    await eventually(all_begun, within=10)
    assert {row["state"] for row in await pool.fetch(PERIODS)} == {"running"}


async def test_a_broken_one_reaches_subscribers_and_metrics_once(
    caller: Caller, pool: asyncpg.Pool, database_url: str
) -> None:
    wanted = {"name": "Both", "url": "https://both.example", "types": ["accord.promise.breached"]}
    subscription = (await caller.post("/v1/subscriptions", wanted)).json["id"]
    await eventually(lambda: _is_begun(pool), within=10)
    await pool.execute(LONG_AGO)

    async def deliveries() -> list[str]:
        items = (await caller.get(f"/v1/subscriptions/{subscription}/deliveries")).json["items"]
        return [item["type"] for item in items]

    async def is_told() -> bool:
        return len(await deliveries()) >= 2

    await eventually(is_told, within=15)
    # Two weeks are over: the one that was moved, and the next, which began and ended while nobody looked.
    told = await pool.fetch(TOLD)
    assert {row["lead_id"] for row in told} == {promise_key("leads-per-week")}
    events = [from_json(row["body"]) for row in told]
    assert len({event["data"]["period"] for event in events}) == len(events)
    (event, *_) = events
    assert (event["subject"], event["source"]) == (str(promise_key("leads-per-week")), "/accord/sla-monitor")
    assert (event["data"]["of"], event["data"]["target"], event["data"]["reached"]) == ("marketing", 120, 0)
    listed = (await caller.get("/v1/promises")).json["items"]
    now, before = (item["told"] for item in listed if item["promise"] == "leads-per-week")
    assert (now["state"], before["state"], before["reached"]) == ("running", "breached", 0)
    assert [item["told"] for item in listed if item["promise"] != "leads-per-week"] == [None] * 6  # not judged yet
    metrics = (await caller.get("/metrics")).body.decode()
    assert 'accord_sla_promise_events_total{promise="leads-per-week",what="breached"}' in metrics
    assert first(await audit(database_url)) == []


async def test_leads_count_as_they_enter(caller: Caller, pool: asyncpg.Pool) -> None:
    profile = {"title": "VP Sales", "employees": 5_000}
    await caller.post_event("demo.requested", "ann@acme.example", profile=profile)
    await caller.lead_in_stage("ann@acme.example", "mql")
    await caller.post("/v1/leads/ann@acme.example/actions", {"action": "accepted"}, prefer="wait=10")

    async def counts() -> dict[str, tuple[int, int]]:
        return {row["promise"]: (row["entries"], row["counted"]) for row in await pool.fetch(COUNTS)}

    all_three = ("acceptance-rate", "hot-leads-per-week", "leads-per-week")
    assert await counts() == dict.fromkeys(all_three, (1, 1))
    held = (await caller.get("/v1/leads/ann@acme.example/export")).json["held"]["promise_entries"]
    assert [(entry["promise"], entry["is_counted"]) for entry in held] == [(name, True) for name in all_three]


async def _is_begun(pool: asyncpg.Pool) -> bool:
    return len(await pool.fetch(PERIODS)) == 4
