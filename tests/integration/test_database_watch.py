"""A Postgres that stands still says nothing and refuses nothing: the process says so and still answers."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_builders import ADMIN_KEY, Caller, running_line
from asgi_client import Answer, ask
from builders import eventually
from database_addresses import as_user
from postgres_processes import frozen
from pydantic import SecretStr

from services.first_start import prepare
from shared.clock import new_id
from shared.db import watch as watch_
from shared.db.embedded import EmbeddedPostgres
from shared.db.watch import DatabaseWatch


@pytest.fixture
async def line(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Caller]:
    """With the patience that a house has outside of tests."""
    seconds = watch_.ANSWER_SECONDS_MAX
    await prepare(postgres.dsn, None, SecretStr(ADMIN_KEY))
    async with running_line(postgres.dsn) as caller:
        monkeypatch.setattr(watch_, "ANSWER_SECONDS_MAX", seconds)
        yield caller


async def readiness(line: Caller) -> tuple[int, Any]:
    answer = await ask(line.app, "/readyz")
    return answer.status, answer.json["waiting_for"]


async def post(line: Caller, email: str) -> Answer:
    return await line.post(
        "/v1/events", {"type": "demo.requested", "lead": {"email": email}, "profile": {"title": "CTO"}}
    )


async def test_a_frozen_postgres_makes_it_not_ready_and_is_not_waited_for(
    line: Caller, postgres: EmbeddedPostgres
) -> None:
    assert (await post(line, "before@a.example")).status == 202
    with frozen(postgres.pid):
        waiting = asyncio.create_task(post(line, "meanwhile@a.example"))

        async def is_named() -> bool:
            status, waiting_for = await readiness(line)
            return status == 503 and "database: no answer within 3 s" in waiting_for

        await eventually(is_named, within=15)
        assert (await ask(line.app, "/healthz")).status == 200
        for refused in (await waiting, await post(line, "later@a.example"), await line.get("/v1/leads")):
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")

    async def is_back() -> bool:
        return await readiness(line) == (200, [])

    await eventually(is_back, within=30)
    # Senders try again what was answered with 503.
    for email in ("meanwhile@a.example", "later@a.example"):
        assert (await post(line, email)).status == 202
        await line.lead_in_stage(email, "mql")


async def test_one_that_was_killed_is_named_and_found_again(postgres: EmbeddedPostgres) -> None:
    watch = DatabaseWatch(postgres.dsn)
    watching = asyncio.create_task(watch.run())
    before = await watch.connect(postgres.dsn)
    os.kill(postgres.pid, signal.SIGKILL)
    await eventually(lambda: (watch.trouble or "").startswith("no connection ("))
    await eventually(before.is_closed)
    await postgres.start_again()
    await eventually(lambda: watch.trouble is None)
    after = await watch.connect(postgres.dsn)
    assert await after.fetchval("SELECT 1") == 1
    await after.close()
    watching.cancel()


async def test_a_full_server_is_no_trouble_and_a_refusal_cuts_nobody(database_url: str, pool: Any) -> None:
    role = f"watched_{new_id().hex}"
    await pool.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'let me in' CONNECTION LIMIT 0")
    full, shut = (DatabaseWatch(as_user(database_url, role, password)) for password in ("let me in", "let me out"))
    connections = [await watch.connect(database_url) for watch in (full, shut)]
    watching = [asyncio.create_task(watch.run()) for watch in (full, shut)]
    await eventually(lambda: shut.trouble == "no connection (InvalidPasswordError)")
    assert full.trouble is None
    for task, connection in zip(watching, connections, strict=True):
        task.cancel()
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    await pool.execute(f"DROP ROLE {role}")
