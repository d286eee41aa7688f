"""Nothing that a session was told outlives its turn: pooled connections go back as they are (shared/db/connections)."""

from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
from api_builders import LINE, Caller, running_line
from delivery_builders import Receiver, listening

EMAIL = "ada@okapi.example"
LEFT = """SELECT 'SET ' || name FROM pg_settings WHERE source = 'session' AND setting IS DISTINCT FROM reset_val
UNION ALL SELECT 'LISTEN ' || pg_listening_channels()
UNION ALL SELECT 'a lock' FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL SELECT 'a temporary table' WHERE pg_my_temp_schema() <> 0"""


async def left_in(pool: asyncpg.Pool) -> list[list[str]]:
    """What each of the pool's connections was told and keeps; those that are in use are waited for."""
    async with AsyncExitStack() as stack:
        taken = [await stack.enter_async_context(pool.acquire()) for _ in range(pool.get_size())]
        return [[row[0] for row in await connection.fetch(LEFT)] for connection in taken]


async def lives(caller: Caller, receiver_url: str) -> None:
    """One lead is scored, qualified, told of, accepted and erased; keys, sources and subscriptions are made."""
    key = await caller.post("/v1/keys", {"name": "x", "role": "sales", "scopes": ["leads:read"]})
    source = await caller.post("/v1/sources", {"name": "forms", "kind": "generic", "team": "marketing"})
    subscription = await caller.post("/v1/subscriptions", {"name": "crm", "url": receiver_url, "types": ["*"]})
    assert [made.status for made in (key, source, subscription)] == [201] * 3
    await caller.post_event("demo.requested", EMAIL, profile={"title": "CTO", "employees": 500})
    lead = await caller.lead_in_stage(EMAIL, "mql")
    for path in ("leads", f"leads/{lead['id']}/explanation", "clocks", "funnel", "promises", "audit-log"):
        assert (await caller.get(f"/v1/{path}")).status == 200, path
    acted = await caller.post(f"/v1/leads/{lead['id']}/actions", {"action": "accepted"}, prefer="wait=10")
    assert acted.status in (200, 202)
    assert (await caller.delete(f"/v1/leads/{lead['id']}", prefer="wait=10")).status in (200, 202)


async def test_no_service_leaves_anything_in_a_session_of_the_pool(database_url: str) -> None:
    async with listening(Receiver()) as receiver, running_line(database_url, *LINE, "delivery") as caller:
        await lives(caller, receiver.url)
        left = await left_in(caller.house.resources.pool)
    assert left
    assert [one for one in left if one] == []


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("SET work_mem = '5MB'", "SET work_mem"),
        ("LISTEN somebody", "LISTEN somebody"),
        ("SELECT pg_advisory_lock(1)", "a lock"),
        ("CREATE TEMPORARY TABLE kept ()", "a temporary table"),
    ],
)
async def test_what_is_left_is_seen(pool: Any, told: str, kept: str) -> None:
    await pool.execute(told)
    assert await left_in(pool) == [[kept]]
