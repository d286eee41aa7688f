"""Files over HTTP and a real Postgres: durable once answered, read once, refused row by row with reasons."""

import asyncio
import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from api_builders import Caller, running_line
from asgi_client import Answer, ask
from builders import eventually
from hook_builders import a_source, logged

from services.ingest.sweeper import importing

HEADER = "Email,First Name,Company,Scanned at,Rating,Show"
ROW = "ada@okapi.example,Ada,Okapi,2026-11-20T09:30:00Z,5,Fair 26"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "LOOK_SECONDS", 0.02)
    monkeypatch.setenv("ACCORD_INGEST_IMPORT_ROWS_PER_SECOND", "1000000")


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "api") as one:
        await a_source(one, name="fair")
        yield one


async def send(caller: Caller, body: bytes | str, *, query: str = "source=fair", **headers: str) -> Answer:
    raw = body.encode() if isinstance(body, str) else body
    sent = {"content-type": "text/csv", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if caller.key is not None:
        sent["authorization"] = f"Bearer {caller.key}"
    pieces = [raw[start : start + 65_536] for start in range(0, max(1, len(raw)), 65_536)]
    return await ask(caller.app, f"/v1/imports?{query}", method="POST", headers=sent, chunks=pieces)


async def ended(caller: Caller, id: str, within: float = 30) -> dict[str, Any]:
    """The import, once it is read."""
    shown: dict[str, Any] = {}

    async def has_ended() -> bool:
        shown.update((await caller.get(f"/v1/imports/{id}")).json)
        return shown["state"] in ("done", "failed")

    await eventually(has_ended, within=within)
    return shown


async def imported(caller: Caller, body: bytes | str, *, query: str = "source=fair", **headers: str) -> dict[str, Any]:
    answer = await send(caller, body, query=query, **headers)
    assert answer.status == 202, answer.body
    return await ended(caller, answer.json["id"])


def counts(shown: dict[str, Any]) -> tuple[int, int, int, int]:
    found = shown["counts"]
    return found["rows"], found["accepted"], found["duplicates"], found["rejected"]


async def errors_of(caller: Caller, id: str, separator: str = ",") -> list[list[str]]:
    answer = await caller.get(f"/v1/imports/{id}/errors.csv")
    assert answer.status == 200, answer.body
    assert answer.body.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline=""), delimiter=separator))


async def test_a_file_of_scans_becomes_activities_with_their_profiles(caller: Caller, pool: asyncpg.Pool) -> None:
    answer = await send(caller, f"{HEADER}\n{ROW}\n")
    assert (answer.status, answer.json["state"]) == (202, "waiting")
    assert answer.headers["location"] == f"/v1/imports/{answer.json['id']}"
    shown = await ended(caller, answer.json["id"])
    assert (shown["state"], counts(shown)) == ("done", (1, 1, 0, 0))
    assert shown["bytes_read"] == shown["bytes"] == len(f"{HEADER}\n{ROW}\n")
    assert shown["columns"]["Company"] == "profile.company"
    (_, profile), (_, activity) = await logged(pool)
    assert profile["fields"] == {"first_name": "Ada", "company": "Okapi"}
    assert (activity["type"], activity["campaign"], activity["source"], activity["team"]) == (
        *("tradeshow.scanned", "Fair 26", "fair", "marketing"),
    )
    assert (activity["occurred_at"], activity["data"]) == ("2026-11-20T09:30:00Z", {"rating": 5})
    assert await pool.fetchval("SELECT count(*) FROM ingest.import_chunks") == 0
