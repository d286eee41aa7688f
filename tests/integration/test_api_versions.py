"""Leads and explanations at a time, when a version of the accord came into effect meanwhile, with the line at work."""

import json
import math
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from api_builders import Caller, running_line
from builders import eventually
from scoring_house import SIGNED

from shared.agreement.loading import default_accord_text, load_accord
from shared.clock import SystemClock

EMAIL = "ada@maker.example"


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "scoring", "stages", "sla-monitor", "api") as caller:
        yield caller


def second_version() -> dict[str, Any]:
    """Surveys are worth 25 points, and heads of something nothing."""
    document: dict[str, Any] = json.loads(json.dumps(load_accord(default_accord_text()).as_written()))
    rules = document["scoring"]["engagement"]["rules"]
    next(rule for rule in rules if rule["id"] == "survey").update(points=25, at_most={"points": 100, "per": "90d"})
    fit = document["scoring"]["fit"]
    fit["rules"] = [rule for rule in fit["rules"] if rule["id"] != "decision-maker"]
    return document


async def sign(pool: asyncpg.Pool, document: Mapping[str, Any], effective_at: datetime) -> None:
    await pool.execute(SIGNED, 2, json.dumps(document), effective_at)


async def explained(caller: Caller, at: datetime | None = None, known: str = "") -> dict[str, Any]:
    query = "" if at is None else f"?at={quote(at.isoformat())}{known}"
    answer = await caller.get(f"/v1/leads/{EMAIL}/explanation{query}")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    parts = [grant["worth"] for grant in found["grants"]] + [each["points"] for each in found["adjustments"]]
    assert math.fsum(parts) == pytest.approx(found["engagement"], abs=1e-9)
    return found


async def test_each_time_is_shown_by_the_version_that_was_in_effect_then(caller: Caller, pool: asyncpg.Pool) -> None:
    now = SystemClock().now
    first_at = now()
    await caller.post_event("survey.completed", EMAIL, profile={"title": "Head of Sales"}, source="web", campaign="one")
    await caller.post_event("survey.completed", EMAIL, source="fair")

    async def has(engagement: float) -> bool:
        answer = await caller.get(f"/v1/leads/{EMAIL}")
        return answer.status == 200 and bool(abs(answer.json["engagement"] - engagement) < 0.1)

    await eventually(lambda: has(30), within=10)
    under_first = now()
    effective_at = under_first + timedelta(seconds=1)
    await sign(pool, second_version(), effective_at)
    await eventually(lambda: has(50), within=10)
    under_second = now()
    # Received now, but done long ago: nobody knew it then.
    done_at = (first_at - timedelta(days=20)).isoformat()
    await caller.post_event("survey.completed", EMAIL, occurred_at=done_at, source="paper", campaign="two")
    await eventually(lambda: has(50 + 25 * 2 ** (-20 / 30)), within=10)
    then = await explained(caller, under_first)
    assert (then["accord"], then["grade"], len(then["grants"])) == (1, "B", 2)
    assert then["engagement"] == pytest.approx(30, abs=0.01)
    assert [rule["rule"] for rule in then["fit_rules"]] == ["decision-maker"]
    later = await explained(caller, under_second)
    assert (later["accord"], later["grade"], len(later["grants"])) == (2, "D", 2)
    assert later["engagement"] == pytest.approx(50, abs=0.01)
    # With what is known today: the third survey, granted under the version in effect when it was received.
    assert len((await explained(caller, under_second, "&known=now"))["grants"]) == 3
    assert len((await explained(caller, under_first, "&known=now"))["grants"]) == 2
    assert (await explained(caller))["accord"] == 2
    lead = (await caller.get(f"/v1/leads/{EMAIL}?at={quote(under_second.isoformat())}")).json
    assert (lead["source"], lead["campaign"], lead["first_source"], lead["email"]) == ("fair", "one", "web", EMAIL)
    assert lead["engagement"] == pytest.approx(later["engagement"], abs=1e-9)
    before = (await caller.get(f"/v1/leads/{EMAIL}?at={quote((first_at - timedelta(seconds=5)).isoformat())}")).json
    assert (before["email"], before["source"], before["engagement"], before["profile"]) == (None, None, 0, {})

    async def is_finished() -> bool:  # in the partitions that have no lead, too
        return bool((await caller.get("/v1/accords/2")).json["rescore"]["state"] == "finished")

    await eventually(is_finished, within=10)
    accord = (await caller.get("/v1/accords/2")).json
    counted = {name: accord["rescore"][name] for name in ("leads", "done", "left", "changed")}
    assert counted == {"leads": 1, "done": 1, "left": 0, "changed": 1}
    assert (await caller.get("/v1/accords/1")).json["rescore"] is None


async def test_a_decision_is_explained_with_its_own_number(caller: Caller, pool: asyncpg.Pool) -> None:
    # Received under the first version, however long the rest takes.
    await caller.post_event("page.viewed", EMAIL, id="0")
    await sign(pool, second_version(), SystemClock().now() + timedelta(seconds=1.5))
    for n in range(1, 30):
        await caller.post_event("survey.completed" if n % 3 else "page.viewed", EMAIL, id=str(n))

    async def told() -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await pool.fetch(
            """SELECT convert_from(value, 'UTF8')::jsonb AS score, accord FROM stream.log
            WHERE type = 'accord.score.changed' ORDER BY log_offset"""
        )
        return rows

    async def has_all() -> bool:
        return sorted({row["accord"] for row in await told()}) == [1, 2] and len(await told()) == 31

    await eventually(has_all, within=10)
    for row in await told():
        score = json.loads(row["score"])
        explanation = await explained(caller, datetime.fromisoformat(score["as_of"]))
        assert explanation["accord"] == row["accord"]
        assert explanation["engagement"] == pytest.approx(score["engagement"], abs=1e-9)
        assert (explanation["fit"], explanation["grade"]) == (score["fit"], score["grade"])


async def test_a_timeline_tells_of_the_rescore_and_of_what_it_granted_anew(caller: Caller, pool: asyncpg.Pool) -> None:
    await caller.post_event("survey.completed", EMAIL)
    effective_at = SystemClock().now()
    await sign(pool, second_version(), effective_at)

    async def timeline() -> list[dict[str, Any]]:
        answer = await caller.get(f"/v1/leads/{EMAIL}/timeline")
        items: list[dict[str, Any]] = answer.json["items"] if answer.status == 200 else []
        return items

    async def is_rescored() -> bool:
        return any(item["kind"] == "rescore" for item in await timeline())

    await eventually(is_rescored)
    items = await timeline()
    told = [(item["kind"], item["detail"].get("accord")) for item in items if item["kind"] in ("score", "rescore")]
    assert told == [("score", 1), ("rescore", 2), ("score", 2)]
    rescored, granted = items[-2:]
    assert rescored["at"] == granted["at"]
    assert datetime.fromisoformat(rescored["at"]) == effective_at
    assert granted["detail"]["grants"] == [{"rule": "survey", "points": 25, "withheld": 0, "why": None}]
