"""Leads, their explanation, timeline, clocks and actions, with the whole line at work."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from api_builders import Caller, running_line
from builders import eventually

from shared.clock import new_id

HOT = {"title": "VP Operations", "company": "Acme", "employees": 400, "industry": "logistics"}
EMAIL = "mary@acme.example"
START = datetime(2026, 11, 2, 15, tzinfo=UTC)
A_BREACH = """INSERT INTO sla.clocks (clock_id, lead_id, partition, rule, attempt, accord, entry, state, started_at,
        deadline, ladder_steps, breached_at, announced_at, is_lagging)
    VALUES ($1, $2, 0, 'first-contact', 1, 1, 1, $4, $3::timestamptz - interval '8 hours', $3, 0, $3,
        $3::timestamptz + interval '1 second', false)"""


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url) as caller:
        yield caller


async def a_qualified_lead(caller: Caller, email: str = EMAIL) -> str:
    await caller.post_event("demo.requested", email, profile=HOT, source="website")
    lead = await caller.lead_in_stage(email, "mql")
    return str(lead["id"])


async def every_page(caller: Caller, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = (await caller.get(path)).json
    found += page["items"]
    while page["next"]:
        page = (await caller.get(f"{path}&cursor={page['next']}")).json
        found += page["items"]
    return found


async def test_an_address_with_letters_of_any_language_finds_its_lead(caller: Caller) -> None:
    await caller.post_event("demo.requested", "Ada@Ökapi.example")
    kept = await caller.lead_in_stage("ada@xn--kapi-4qa.example", "lead")
    assert (await caller.get("/v1/leads/%20ADA@%C3%B6kapi.example")).json["id"] == kept["id"]


async def test_a_qualified_lead_is_shown_whole(caller: Caller) -> None:
    lead_id = await a_qualified_lead(caller)

    async def has_its_clocks() -> bool:
        return len((await caller.get(f"/v1/leads/{lead_id}")).json["clocks"]) == 2

    await eventually(has_its_clocks)
    lead = (await caller.get(f"/v1/leads/{EMAIL.upper()}")).json
    assert lead["id"] == lead_id
    assert (lead["stage"], lead["grade"], lead["fit"], lead["accord"]) == ("mql", "A", 70, 1)
    assert lead["engagement"] == pytest.approx(60, abs=0.01)
    assert lead["profile"] == HOT
    assert lead["identities"] == [{"kind": "email", "value": EMAIL}]
    assert lead["owner"].endswith("@sales.example")
    # 60 · 2^(−t/14d) falls below 40 after 14 d · log2(1.5).
    falls_at = datetime.fromisoformat(lead["below_threshold_at"]) - datetime.now(UTC)  # noqa: TID251
    assert falls_at.total_seconds() == pytest.approx(14 * 86400 * 0.5849625, abs=60)
    clock = next(clock for clock in lead["clocks"] if clock["rule"] == "first-contact-hot")
    assert (clock["state"], clock["attempt"], clock["lead_id"]) == ("open", 1, lead_id)
    counted = [
        datetime.fromisoformat(part["to"]) - datetime.fromisoformat(part["from"])
        for part in clock["working"]
        if part["counted"]
    ]
    assert sum(counted, timedelta()) == timedelta(hours=1)


async def test_the_explanation_adds_up_to_the_score(caller: Caller) -> None:
    lead_id = await a_qualified_lead(caller)
    await caller.post_event("whitepaper.downloaded", EMAIL)

    async def has_both() -> bool:
        return len((await caller.get(f"/v1/leads/{lead_id}/explanation")).json["grants"]) == 2

    await eventually(has_both)
    found = (await caller.get(f"/v1/leads/{lead_id}/explanation")).json
    total = sum(grant["worth"] for grant in found["grants"]) + sum(each["points"] for each in found["adjustments"])
    assert total == pytest.approx(found["engagement"], abs=1e-9)
    assert {grant["rule"] for grant in found["grants"]} == {"demo", "whitepaper"}
    assert {rule["rule"] for rule in found["fit_rules"]} == {"decision-maker", "mid-market", "our-industries"}


async def test_a_lead_is_shown_as_it_was_known_then(caller: Caller) -> None:
    lead_id = await a_qualified_lead(caller)
    before = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: TID251
    then = (await caller.get(f"/v1/leads/{lead_id}?at={before}")).json
    assert (then["stage"], then["engagement"], then["profile"], then["clocks"]) == ("lead", 0, {}, [])
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: TID251
    known = (await caller.get(f"/v1/leads/{lead_id}?at={now}&known=now")).json
    assert (known["stage"], known["profile"], known["grade"]) == ("mql", HOT, "A")
    explained = (await caller.get(f"/v1/leads/{lead_id}/explanation?at={now}")).json
    assert explained["engagement"] == pytest.approx(known["engagement"], abs=1e-9)


async def test_prefer_wait_gives_the_resulting_lead_with_its_clocks(caller: Caller) -> None:
    lead_id = await a_qualified_lead(caller)
    path = f"/v1/leads/{lead_id}/actions"
    answer = await caller.post(path, {"action": "contacted", "channel": "call"}, prefer="wait=10")
    assert (answer.status, answer.headers["preference-applied"]) == (200, "wait=10")
    clocks = {clock["rule"]: clock["state"] for clock in answer.json["clocks"]}
    assert clocks == {"first-contact-hot": "met", "accept-or-reject": "open"}
    answer = await caller.post(path, {"action": "accepted"}, prefer="wait=10")
    assert (answer.status, answer.json["stage"]) == (200, "sal")
    answer = await caller.post(path, {"action": "note", "note": "Likes boats"})
    assert answer.status == 202
    assert set(answer.json) == {"event_id"}


async def test_a_wait_that_is_too_short_is_answered_202(database_url: str) -> None:
    async with running_line(database_url, "ingest", "scoring", "api") as caller:
        await caller.post_event("demo.requested", EMAIL, profile=HOT)

        async def is_scored() -> bool:
            return (await caller.get(f"/v1/leads/{EMAIL}")).status == 200

        await eventually(is_scored)
        answer = await caller.post(f"/v1/leads/{EMAIL}/actions", {"action": "accepted"}, prefer="wait=0")
        assert answer.status == 202


async def test_an_action_that_can_t_be_taken_is_refused_with_what_is_allowed(caller: Caller) -> None:
    lead_id = await a_qualified_lead(caller)
    path = f"/v1/leads/{lead_id}/actions"
    answer = await caller.post(path, {"action": "rejected", "reason": "bored"})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "reason")
    assert "no_budget" in answer.json["errors"][0]["message"]
    bad: tuple[Any, ...] = (
        {"action": "dance"},
        {"action": "note", "note": "a", "colour": "red"},
        {"action": "won", "amount": -1},
        [],
        b"{",
        b"",
    )
    for body in (*bad, b'{"action": "note", "note": "a\\u0000b"}', b'{"action": "note", "note": "\\ud800"}'):
        answer = await caller.post(path, body)
        assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json"), body
        assert answer.json["errors"]
    assert (await caller.post(path, b'{"action": "note", "action": "won"}')).status == 422
    assert (await caller.post(path, b"[" * 100_000)).status == 422
    assert (await caller.post(path, b" " * 1_100_000)).status == 413
    assert (await caller.post(path, {"action": "note"}, content_type="text/plain")).status == 415


async def test_a_repeated_action_is_applied_once(caller: Caller) -> None:
    lead_id = await a_qualified_lead(caller)
    path, body = f"/v1/leads/{lead_id}/actions", {"action": "contacted", "channel": "call"}
    answers = await asyncio.gather(
        *(caller.post(path, body, idempotency_key="call 1", prefer="wait=10") for _ in range(4))
    )
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["event_id"] for answer in answers}) == 1
    other = await caller.post(path, {"action": "accepted"}, idempotency_key="call 1")
    assert (other.status, other.json["errors"][0]["path"]) == (422, "Idempotency-Key")
    items = (await caller.get(f"/v1/leads/{lead_id}/timeline")).json["items"]
    assert [item["detail"]["action"] for item in items if item["kind"] == "action"] == ["contacted"]


async def test_the_timeline_has_everything_in_one_order_page_by_page(caller: Caller) -> None:
    lead_id = await a_qualified_lead(caller)
    await caller.post(
        f"/v1/leads/{lead_id}/actions",
        {"action": "opportunity.opened", "amount": 5, "currency": "USD"},
        prefer="wait=10",
    )
    whole = (await caller.get(f"/v1/leads/{lead_id}/timeline?limit=500")).json["items"]
    assert {item["kind"] for item in whole} >= {"profile", "activity", "score", "transition", "action", "clock"}
    assert [item["at"] for item in whole] == sorted(item["at"] for item in whole)
    told = [item for item in whole if "occurred_at" in item["detail"]]
    assert [item["detail"]["occurred_at"] for item in told] == [item["at"] for item in told]
    reached = [item["detail"]["to_stage"] for item in whole if item["kind"] == "transition"]
    assert reached == ["mql", "sal", "sql", "opportunity"]
    for order, expected in (("asc", whole), ("desc", whole[::-1])):
        found = await every_page(caller, f"/v1/leads/{lead_id}/timeline?limit=2&order={order}")
        assert found == expected


async def test_a_breach_stands_before_its_escalation_though_both_have_one_time(
    caller: Caller, pool: asyncpg.Pool
) -> None:
    lead_id = await a_qualified_lead(caller)
    for number, (what, level) in enumerate((("escalated", 2), ("breached", None), ("escalated", 1))):
        await pool.execute(
            """INSERT INTO sla.clock_events (lead_id, event_id, clock_id, type, occurred_at, rule, level)
            VALUES ($1, $2, $3, $4, $5, 'first-contact', $6)""",
            UUID(lead_id),
            UUID(int=number),
            UUID(int=9),
            f"accord.clock.{what}",
            START + timedelta(hours=level == 2),
            level,
        )
    items = await every_page(caller, f"/v1/leads/{lead_id}/timeline?limit=1")
    told = [item["detail"] for item in items if item["kind"] == "clock"]
    assert [(detail["type"].rpartition(".")[2], detail["level"]) for detail in told[:3]] == [
        ("breached", None),
        ("escalated", 1),
        ("escalated", 2),
    ]


async def test_lists_are_filtered_sorted_and_paged_without_losing_a_lead(caller: Caller) -> None:
    for number in range(5):
        profile = {**HOT, "title": ("CTO", "Engineer", "Student")[number % 3]}
        await caller.post_event(
            "survey.completed" if number % 2 else "demo.requested", f"lead{number}@acme.example", profile=profile
        )

    async def all_are_scored() -> bool:
        return len((await caller.get("/v1/leads?min_engagement=1")).json["items"]) == 5

    await eventually(all_are_scored)
    await a_qualified_lead(caller)
    for sort in ("engagement", "fit", "updated", "deadline"):
        found = await every_page(caller, f"/v1/leads?limit=2&sort={sort}")
        assert len({item["email"] for item in found}) == len(found) == 6, sort
        if sort in ("engagement", "fit"):
            # Leads are sorted by what is stored; between two that are alike, seconds of decay are not.
            values = [round(item[sort], 2) for item in found]
            assert values == sorted(values, reverse=True)
    assert {item["engagement"] > 50 for item in (await caller.get("/v1/leads?min_engagement=50")).json["items"]} == {
        True
    }
    assert [
        item["email"] for item in (await caller.get("/v1/leads?q=MARY&stage=mql&grade=A&source=website")).json["items"]
    ] == [EMAIL]
    assert (await caller.get("/v1/leads?q=%25")).json["items"] == []
    (mary,) = (await caller.get("/v1/leads?q=MARY")).json["items"]
    some = f"/v1/leads?id={mary['id']}&id=00000000-0000-4000-8000-000000000000"
    assert [item["email"] for item in (await caller.get(some)).json["items"]] == [EMAIL]


async def test_clocks_are_listed_with_their_working(caller: Caller) -> None:
    lead_id = await a_qualified_lead(caller)

    async def both_run() -> bool:
        return len((await caller.get("/v1/clocks?state=open&sort=deadline")).json["items"]) == 2

    await eventually(both_run)
    page = (await caller.get("/v1/clocks?state=open,warned&limit=1")).json
    assert (page["items"][0]["rule"], page["items"][0]["lead_id"]) == ("first-contact-hot", lead_id)
    following = (await caller.get(f"/v1/clocks?state=open&limit=1&cursor={page['next']}")).json
    assert [item["rule"] for item in following["items"]] == ["accept-or-reject"]
    assert following["next"] is None
    assert (await caller.get("/v1/breaches")).json == {"items": [], "next": None}
    assert (await caller.get("/v1/clocks?state=ticking")).status == 422


async def test_what_is_no_lead_is_not_found_and_nonsense_is_never_an_internal_error(caller: Caller) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    for lead in (nobody, "nobody@acme.example", "x", "1", "a%00b@c.example", "%ED%A0%80@c.example"):
        for rest in ("", "/timeline", "/explanation"):
            assert (await caller.get(f"/v1/leads/{lead}{rest}")).status == 404, lead
        assert (await caller.post(f"/v1/leads/{lead}/actions", {"action": "accepted"})).status == 404
    for query in (
        "q=%00",
        "stage=nowhere",
        "grade=E",
        "limit=0",
        "limit=501",
        "cursor=abc",
        "min_engagement=nan",
        "min_engagement=1_0",
        "limit=01",
        "trend_days=07",
        "sort=colour",
        "owner=%00",
    ):
        assert (await caller.get(f"/v1/leads?{query}")).status == 422, query
    for query in ("at=yesterday", "known=now", "at=0001-01-01T00:00:00%2B14:00"):
        assert (await caller.get(f"/v1/leads/{nobody}?{query}")).status == 422, query
    assert (await caller.get("/v1/leads?q=%ED%A0%80")).status == 200


async def test_breaches_are_listed_latest_first_without_those_that_were_voided(
    caller: Caller, pool: asyncpg.Pool
) -> None:
    lead_id = await a_qualified_lead(caller)
    for hour, state in enumerate(("breached", "resolved", "voided")):
        await pool.execute(A_BREACH, new_id(), lead_id, START + timedelta(hours=hour), state)
    page = (await caller.get("/v1/breaches?limit=1")).json
    following = (await caller.get(f"/v1/breaches?limit=1&cursor={page['next']}")).json
    states = [item["state"] for item in page["items"] + following["items"]]
    assert (states, following["next"]) == (["resolved", "breached"], None)
    before_it_was_announced = START.strftime("%Y-%m-%dT%H:%M:%SZ")
    then = (await caller.get(f"/v1/leads/{lead_id}?at={before_it_was_announced}")).json
    assert {(clock["state"], clock["breached_at"]) for clock in then["clocks"]} == {("open", None)}
