"""What boards show of leads beside their values: how engagement went, the line, what is due next, parts of a life."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from api_builders import LINE, Caller, running_line
from builders import eventually

from shared.clock import SystemClock

HOT = {"title": "VP Operations", "company": "Acme", "employees": 400, "industry": "logistics"}
EMAIL = "mary@acme.example"
DAY = timedelta(days=1)


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, *LINE, "delivery") as caller:
        yield caller


def text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


async def the_item(caller: Caller, query: str) -> dict[str, Any]:
    (item,) = (await caller.get(f"/v1/leads?q=mary&{query}")).json["items"]
    return dict(item)


async def test_a_trend_is_the_engagement_of_each_day_as_the_explanation_has_it(caller: Caller) -> None:
    now = SystemClock().now()
    for days_ago, type_ in (
        (70, "demo.requested"),
        (9.5, "survey.completed"),
        (2.25, "email.unsubscribed"),
        (0.5, "cta.completed"),
    ):
        await caller.post_event(type_, EMAIL, profile=HOT, occurred_at=text(now - days_ago * DAY))

    async def all_are_granted() -> bool:
        grants = (await caller.get(f"/v1/leads/{EMAIL}/explanation")).json.get("grants", ())
        return len({grant["type"] for grant in grants}) == 4

    await eventually(all_are_granted)
    item = await the_item(caller, "trend_days=10")
    as_of = datetime.fromisoformat(item["as_of"])
    assert len(item["trend"]) == 11
    assert item["trend"][-1] == pytest.approx(item["engagement"], abs=1e-6)
    for days_ago in range(11):
        at = text(as_of - days_ago * DAY)
        told = (await caller.get(f"/v1/leads/{EMAIL}/explanation?at={at}&known=now")).json
        assert item["trend"][10 - days_ago] == pytest.approx(told["engagement"], abs=1e-6), days_ago
    assert (await the_item(caller, "limit=1"))["trend"] is None
    assert (await caller.get("/v1/leads?trend_days=0")).status == 422
    assert (await caller.get("/v1/leads?q=nobody&trend_days=3")).json["items"] == []


async def test_a_listed_lead_shows_the_promise_that_is_due_next(caller: Caller) -> None:
    await caller.post_event("demo.requested", EMAIL, profile=HOT)
    lead = await caller.lead_in_stage(EMAIL, "mql")

    async def is_due() -> bool:
        return bool((await the_item(caller, "sort=deadline"))["due"])

    await eventually(is_due)
    clocks = (await caller.get(f"/v1/leads/{lead['id']}")).json["clocks"]
    first = min(clocks, key=lambda clock: clock["deadline"])
    due = {name: first[name] for name in ("rule", "state", "deadline")}
    assert (await the_item(caller, "limit=1"))["due"] == due
    assert (first["within_seconds"], first["hours"], first["stops"]) == (3600, "business", ["contacted"])
    rejected = {"action": "rejected", "reason": "bad_data"}
    await caller.post(f"/v1/leads/{lead['id']}/actions", rejected, prefer="wait=10")
    assert (await the_item(caller, "limit=1"))["due"] is None


async def test_a_lead_shows_the_line_and_on_which_side_of_it_it_is(caller: Caller) -> None:
    await caller.post_event("demo.requested", EMAIL, profile=HOT)
    lead = await caller.lead_in_stage(EMAIL, "mql")
    words = "(engagement at least 40 and grade is A or B) or engagement at least 70"
    assert lead["mql"] == {"words": words, "holds": True, "engagement": [40, 70]}
    before = text(SystemClock().now() - DAY)
    assert (await caller.get(f"/v1/leads/{EMAIL}?at={before}")).json["mql"]["holds"] is False


async def test_a_life_is_shown_in_part(caller: Caller) -> None:
    occurred_at = SystemClock().now() - DAY
    await caller.post_event("demo.requested", EMAIL, profile=HOT, occurred_at=text(occurred_at))
    await caller.lead_in_stage(EMAIL, "mql")
    path = f"/v1/leads/{EMAIL}/timeline"
    for asked in (("transition",), ("activity", "transition")):
        items = (await caller.get(f"{path}?kind={','.join(asked)}")).json["items"]
        assert tuple(item["kind"] for item in items) == asked
    items = (await caller.get(f"{path}?until={text(occurred_at)}")).json["items"]
    assert {item["kind"] for item in items} == {"profile", "activity"}
    refused = await caller.get(f"{path}?kind=transition,dance")
    assert (refused.status, refused.json["errors"][0]["path"]) == (422, "kind")


async def test_a_lead_that_was_erased_is_said_to_be(caller: Caller) -> None:
    await caller.post_event("demo.requested", EMAIL, profile=HOT)
    lead = await caller.lead_in_stage(EMAIL, "mql")
    assert (await caller.delete(f"/v1/leads/{lead['id']}", prefer="wait=20")).status == 200
    for rest in ("", "/explanation", "/timeline"):
        answer = await caller.get(f"/v1/leads/{lead['id']}{rest}")
        assert (answer.status, answer.json["title"]) == (404, "This lead was erased"), rest


async def test_a_lead_that_only_sales_spoke_of_is_shown_with_nothing_earned_under_each_of_its_names(
    caller: Caller,
) -> None:
    identity = {"kind": "anonymous_id", "value": "shop:7"}
    given = {"type": "sales.contacted", "lead": {"email": EMAIL, "anonymous_id": "shop:7"}, "source": "crm"}
    assert (await caller.post("/v1/events", given)).status == 202
    lead = await caller.lead_in_stage(EMAIL, "lead")
    assert (lead["engagement"], lead["fit"], lead["grade"], lead["source"]) == (0, 0, "D", None)
    assert (lead["email"], lead["profile"], lead["clocks"]) == (EMAIL, {}, [])
    assert lead["identities"] == [identity, {"kind": "email", "value": EMAIL}]
    for name in (lead["id"], "anonymous_id:shop:7"):
        assert {**(await caller.get(f"/v1/leads/{name}")).json, "as_of": lead["as_of"]} == lead


async def test_a_lead_shows_the_clocks_of_its_stage_and_those_still_running_and_no_others(caller: Caller) -> None:
    await caller.post_event("demo.requested", EMAIL, profile=HOT)
    lead = await caller.lead_in_stage(EMAIL, "mql")

    async def shown(states: list[str]) -> bool:
        clocks = (await caller.get(f"/v1/leads/{EMAIL}")).json["clocks"]
        assert [clock["deadline"] for clock in clocks] == sorted(clock["deadline"] for clock in clocks)
        return sorted(clock["state"] for clock in clocks) == states

    async def all_states() -> list[str]:
        return sorted(clock["state"] for clock in (await caller.get(f"/v1/clocks?lead={lead['id']}")).json["items"])

    await eventually(lambda: shown(["open", "open"]))
    await caller.post(f"/v1/leads/{lead['id']}/actions", {"action": "accepted"}, prefer="wait=10")
    assert await shown(["open"])
    assert await all_states() == ["met", "open"]
