"""A source that sends what happened long ago: it scores for what it is worth today, and alarms nobody."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from api_builders import Caller, running_line
from builders import eventually

from shared.clock import SystemClock

EMAIL = "ada@maker.example"
QUALIFIED = """SELECT convert_from(value, 'UTF8')::jsonb FROM stream.log WHERE type = 'accord.lead.qualified'"""


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "scoring", "stages", "sla-monitor", "api") as caller:
        yield caller


async def a_source(caller: Caller, **settings: Any) -> None:
    body = {"name": "old crm", "kind": "generic", "team": "marketing", "settings": settings}
    answer = await caller.post("/v1/sources", body)
    assert answer.status == 201, answer.body


async def clocks_of(caller: Caller) -> dict[str, str]:
    lead = (await caller.get(f"/v1/leads/{EMAIL}")).json
    return {clock["rule"]: clock["state"] for clock in lead["clocks"]}


@pytest.mark.parametrize("historical", [True, False])
async def test_a_historical_source_scores_for_what_it_is_worth_today_and_starts_every_clock_late(
    caller: Caller, pool: asyncpg.Pool, historical: bool
) -> None:
    await a_source(caller, **({"historical": True} if historical else {}))
    long_ago = (SystemClock().now() - timedelta(days=7)).isoformat()
    profile = {"title": "Head of Sales", "employees": 400}
    await caller.post_event("demo.requested", EMAIL, source="old crm", occurred_at=long_ago, profile=profile)
    lead = await caller.lead_in_stage(EMAIL, "mql")
    assert lead["engagement"] == pytest.approx(60 * 2**-0.5, abs=0.01)
    state = "late_start" if historical else "open"

    async def has_clocks() -> bool:
        return await clocks_of(caller) == {"first-contact-hot": state, "accept-or-reject": state}

    await eventually(has_clocks, within=10)
    qualified = str(await pool.fetchval(QUALIFIED))
    assert ('"due": null' in qualified) == historical
    # Warning, breach and two levels of one; breach and two levels of the other.
    withheld = caller.house.resources.registry.get_sample_value
    rules = ("first-contact-hot", "accept-or-reject")
    counted = [withheld("accord_sla_withheld_alerts_total", {"clock": rule}) for rule in rules]
    assert counted == ([4, 3] if historical else [None, None])
    assert await pool.fetchval("SELECT count(*) FROM sla.clocks WHERE next_due_at IS NOT NULL") == 2 * (not historical)
