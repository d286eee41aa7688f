"""Two processes of the api on one database: what is asked of one holds at the other. Each is a house of its own, with
its own connections, lane and memory; they share nothing but Postgres."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from api_builders import Caller, running_line
from builders import eventually

SOURCE = {"name": "forms", "kind": "generic", "team": "marketing"}
EMAIL = "mary@acme.example"
REVOKED_WITHIN_SECONDS = 1.0


@pytest.fixture
async def both(database_url: str) -> AsyncIterator[tuple[Caller, Caller]]:
    """The first one runs the line, too."""
    async with running_line(database_url) as first, running_line(database_url, "api") as second:
        yield first, second


async def qualified(first: Caller, email: str) -> None:
    await first.post_event("demo.requested", email, profile={"title": "CTO", "employees": 500})
    await first.lead_in_stage(email, "mql")


async def test_an_idempotency_key_used_at_both_at_once_creates_once(
    both: tuple[Caller, Caller], pool: asyncpg.Pool
) -> None:
    for number in range(5):
        key = f"once-{number}"
        body = {**SOURCE, "name": f"forms {number}"}
        asked = [house.post("/v1/sources", body, **{"idempotency-key": key}) for house in both * 4]
        answers = await asyncio.gather(*asked)
        assert {answer.status for answer in answers} == {201}, answers
        assert len({answer.json["id"] for answer in answers}) == 1
        shown = Counter(answer.json["secret"] is not None for answer in answers)
        assert shown == {True: 1, False: 7}, "the secret is shown to one"
    assert await pool.fetchval("SELECT count(*) FROM api.sources") == 5


async def test_an_action_repeated_at_the_other_is_taken_once(both: tuple[Caller, Caller], pool: asyncpg.Pool) -> None:
    await qualified(both[0], EMAIL)
    call = {"action": "contacted", "channel": "call", "occurred_at": "2026-11-02T15:00:00Z"}
    asked = [
        house.post(f"/v1/leads/{EMAIL}/actions", call, **{"idempotency-key": "call-1", "prefer": "wait=10"})
        for house in both * 3
    ]
    answers = await asyncio.gather(*asked)
    assert {answer.status for answer in answers} <= {200, 202}, answers
    assert await pool.fetchval("SELECT count(*) FROM stages.history WHERE body IS NOT NULL") == 1


@pytest.mark.parametrize("where", [0, 1])
async def test_a_key_revoked_at_one_stops_at_the_other_within_a_second(both: tuple[Caller, Caller], where: int) -> None:
    here, other = both[where], both[1 - where]
    made = (await here.post("/v1/keys", {"name": "visitor", "role": "sales", "scopes": ["leads:read"]})).json
    visitor = other.with_key(made["key"])
    assert (await visitor.get("/v1/leads")).status == 200, "known at the other, and in its memory"
    assert (await here.delete(f"/v1/keys/{made['id']}")).status == 204

    async def is_refused() -> bool:
        answer = await visitor.get(f"/v1/leads/{UUID(int=1)}")
        assert answer.status in (401, 404)
        return answer.status == 401

    await eventually(is_refused, within=REVOKED_WITHIN_SECONDS)


async def test_what_one_answered_with_prefer_wait_the_other_shows_at_once(both: tuple[Caller, Caller]) -> None:
    first, second = both
    for number, (here, other) in enumerate(((second, first), (first, second), (second, first))):
        email = f"p{number}@acme.example"
        await qualified(first, email)
        acted = await here.post(f"/v1/leads/{email}/actions", {"action": "accepted"}, prefer="wait=10")
        assert acted.status == 200, acted.body
        assert acted.json["stage"] == "sal"
        seen = (await other.get(f"/v1/leads/{email}")).json
        assert (UUID(seen["id"]), seen["stage"]) == (UUID(acted.json["id"]), "sal")
        clocks = {clock["id"]: clock["state"] for clock in seen["clocks"]}
        assert clocks == {clock["id"]: clock["state"] for clock in acted.json["clocks"]}
