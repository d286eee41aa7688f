"""A Postgres that stands still says nothing and refuses nothing: the process says so and still answers."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from api_builders import ADMIN_KEY, Caller, running_line
from asgi_client import Answer, ask
from builders import eventually
from database_addresses import as_user
from patience import within
from postgres_processes import frozen
from pydantic import SecretStr

from services.first_start import prepare
from shared.clock import new_id
from shared.db import watch as watch_
from shared.db.connections import connect_options
from shared.db.embedded import EmbeddedPostgres
from shared.db.faults import DATABASE_ERRORS
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


async def test_what_a_frozen_process_left_half_said_is_ended_and_who_works_is_not(
    database_url: str, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_, "STANDS_STILL_SECONDS", 1.0)
    await pool.execute("CREATE TABLE held (id integer PRIMARY KEY); INSERT INTO held VALUES (1)")
    stopped, busy, idle, foreign = [
        await asyncpg.connect(database_url, **connect_options(name)) for name in ("accord", "accord", "accord", "psql")
    ]
    exchanges = [asyncio.create_task(busy.fetchval("SELECT pg_sleep(4)"))]
    await idle.execute("BEGIN")
    await stopped.execute("BEGIN; UPDATE held SET id = 1")
    for connection in (stopped, foreign):
        # It never hears what Postgres says of its new statement, as if it had been frozen there.
        connection._transport.pause_reading()
        exchanges.append(asyncio.create_task(connection.fetchval("SELECT 42")))
    watching = asyncio.create_task(DatabaseWatch(database_url).run())
    async with within(20):
        await pool.execute("UPDATE held SET id = 1")
    stopped._transport.resume_reading()
    foreign._transport.resume_reading()
    slept, ended, answered = await asyncio.gather(*exchanges, return_exceptions=True)
    assert isinstance(ended, DATABASE_ERRORS)
    assert (slept, answered) == (None, 42)
    await idle.execute("COMMIT")
    watching.cancel()
    for connection in (busy, idle, foreign):
        await connection.close()
