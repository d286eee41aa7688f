"""Owners over HTTP with the whole line at work: who is paused or gone gets no lead, and the queue is shown."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_builders import ADMIN_KEY, Caller, running_line, unquoted
from asgi_client import Answer, ask
from builders import eventually

ADA, GRACE = "ada@sales.example", "grace@sales.example"
LINUS, BARBARA = "linus@sales.example", "barbara@sales.example"
HOT = {"title": "CEO", "employees": 400, "industry": "software"}
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url) as caller:
        yield caller


async def send(caller: Caller, method: str, path: str, body: Any = None) -> Answer:
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json"}
    chunks = [b"" if body is None else json.dumps(body).encode()]
    return await ask(unquoted(caller.app), path, method=method, headers=headers, chunks=chunks)


async def owners(caller: Caller) -> dict[str, Any]:
    return {item["owner"]: item for item in (await caller.get("/v1/owners?limit=500")).json["items"]}


async def qualified(caller: Caller, email: str, **profile: Any) -> Any:
    await caller.post_event("demo.requested", email, profile={**HOT, **profile})
    return await caller.lead_in_stage(email, "mql")


async def acted(caller: Caller, email: str, **action: Any) -> Any:
    answer = await caller.post(f"/v1/leads/{email}/actions", action, prefer="wait=5")
    assert answer.status == 200, answer.body
    return answer.json


async def test_everybody_whom_the_accord_names_is_listed_and_the_queue_beside_them(caller: Caller) -> None:
    shown = await owners(caller)
    assert sorted(shown) == sorted([ADA, GRACE, LINUS, BARBARA, "unassigned"])
    assert shown[ADA]["teams"] == [{"team": "enterprise", "weight": 2, "capacity": 20}]
    assert (shown[ADA]["state"], shown[ADA]["paused"], shown[ADA]["leads_today"]) == ("active", False, 0)
    assert (shown["unassigned"]["state"], shown["unassigned"]["open_leads"]) == ("queue", 0)
    first = (await caller.get("/v1/owners?limit=2")).json
    rest = (await caller.get(f"/v1/owners?cursor={first['next']}")).json
    assert [item["owner"] for item in (*first["items"], *rest["items"])] == sorted(shown)
    assert rest["next"] is None


async def test_a_pause_holds_for_the_next_lead_and_ends_when_it_is_lifted(caller: Caller) -> None:
    paused = await send(caller, "PATCH", f"/v1/owners/{LINUS}", {"paused": True})
    assert (paused.status, paused.json["state"]) == (200, "paused")
    # The very next leads: the step that routes them reads who is paused.
    assert (await qualified(caller, "a@one.example"))["owner"] == BARBARA
    assert (await qualified(caller, "a@two.example"))["owner"] == BARBARA
    assert (await send(caller, "PATCH", f"/v1/owners/{LINUS}", {"paused": False})).json["state"] == "active"
    three, four = await qualified(caller, "a@three.example"), await qualified(caller, "a@four.example")
    assert {three["owner"], four["owner"]} == {LINUS, BARBARA}
    assert (await owners(caller))[BARBARA] | {"updated_at": None} == {
        "owner": BARBARA,
        "teams": [{"team": "commercial", "weight": 1, "capacity": None}],
        "state": "active",
        "paused": False,
        "paused_until": None,
        "leads_today": 3,
        "open_leads": 3,
        "updated_at": None,
    }


async def test_a_pause_until_a_time_is_shown_with_it_and_must_lie_ahead(caller: Caller) -> None:
    path = f"/v1/owners/{LINUS}"
    until = (await send(caller, "PATCH", path, {"paused_until": FAR.isoformat()})).json
    assert (until["state"], until["paused_until"]) == ("paused", "2100-01-01T00:00:00Z")
    past = await send(caller, "PATCH", path, {"paused_until": (FAR - timedelta(days=36500)).isoformat()})
    assert past.json["errors"] == [{"path": "paused_until", "message": "must lie ahead"}]
    for wrong in ({}, {"paused": False, "paused_until": FAR.isoformat()}, {"paused": "maybe"}, {"holiday": True}):
        assert (await send(caller, "PATCH", path, wrong)).status == 422
    assert (await send(caller, "PATCH", "/v1/owners/nobody@sales.example", {"paused": True})).status == 404


async def test_a_misspelt_owner_is_refused_with_those_that_are_known(caller: Caller) -> None:
    answer = await caller.post("/v1/owners", {"owner": "linux@sales.example", "paused": True})
    assert answer.status == 422
    (error,) = answer.json["errors"]
    assert error["path"] == "owner"
    assert LINUS in error["message"]


async def test_who_is_gone_gets_no_more_leads_until_taken_up_again(caller: Caller) -> None:
    assert (await send(caller, "DELETE", f"/v1/owners/{LINUS}")).status == 204
    assert (await caller.get(f"/v1/owners/{LINUS}")).json["state"] == "gone"
    assert (await send(caller, "PATCH", f"/v1/owners/{LINUS}", {"paused": False})).status == 409
    assert [(await qualified(caller, f"a@{n}.example"))["owner"] for n in range(2)] == [BARBARA, BARBARA]
    again = await caller.post("/v1/owners", {"owner": LINUS}, idempotency_key="again")
    assert (again.status, again.json["state"], again.json["owner"]) == (201, "active", LINUS)
    repeated = await caller.post("/v1/owners", {"owner": LINUS}, idempotency_key="again")
    assert (repeated.status, repeated.json) == (201, again.json)


async def test_a_lead_that_nobody_can_take_waits_in_the_queue(caller: Caller) -> None:
    for name in (LINUS, BARBARA):
        await send(caller, "PATCH", f"/v1/owners/{name}", {"paused": True})
    lead = await qualified(caller, "a@one.example")
    assert (lead["owner"], lead["team"]) == (None, "commercial")
    await caller.post_event("page.viewed", "idle@two.example")
    await caller.lead_in_stage("idle@two.example", "lead")
    waiting = (await caller.get("/v1/leads?owner=unassigned")).json["items"]
    assert [item["email"] for item in waiting] == ["a@one.example"]
    assert (await owners(caller))["unassigned"]["open_leads"] == 1
    nobody = await acted(caller, "a@one.example", action="assigned")
    assert nobody["owner"] is None
    await send(caller, "PATCH", f"/v1/owners/{BARBARA}", {"paused": False})
    assert (await acted(caller, "a@one.example", action="assigned"))["owner"] == BARBARA
    assert (await owners(caller))["unassigned"]["open_leads"] == 0


async def test_the_timeline_says_how_long_a_stage_took_and_why_somebody_got_the_lead(caller: Caller) -> None:
    await send(caller, "PATCH", f"/v1/owners/{LINUS}", {"paused": True})
    await qualified(caller, "a@one.example")
    await acted(caller, "a@one.example", action="opportunity.opened", amount=900, currency="EUR")
    await acted(caller, "a@one.example", action="assigned", owner="boss@sales.example")
    items: list[dict[str, Any]] = []

    async def is_told() -> bool:
        items[:] = (await caller.get("/v1/leads/a@one.example/timeline")).json["items"]
        return [item["kind"] for item in items].count("action") == 2

    await eventually(is_told)
    moves = [item["detail"] for item in items if item["kind"] == "transition"]
    assert [(move["to_stage"], move["implied"]) for move in moves] == [
        ("mql", False),
        ("sal", True),
        ("sql", True),
        ("opportunity", False),
    ]
    assert moves[0]["routing"]["owner"] == BARBARA
    assert moves[0]["routing"]["passed_over"] == [{"owner": LINUS, "why": "paused"}]
    assert [move["routing"] for move in moves[1:]] == [None, None, None]
    assert moves[0]["seconds"] >= 0
    assert moves[1]["seconds"] > 0
    assert [move["seconds"] for move in moves[2:]] == [0, 0]
    opened, handed = (item["detail"] for item in items if item["kind"] == "action")
    assert (opened["amount"], opened["currency"]) == (900, "EUR")
    assert handed["owner"] == "boss@sales.example"
