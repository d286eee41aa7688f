"""Segment's HTTP Tracking API over HTTP and a real Postgres: every answer is one that its SDKs can read."""

import base64
import gzip
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import asyncpg
import pytest
from api_builders import PUBLIC_URL, Caller, running_line
from asgi_client import Answer, ask
from hook_builders import Sender, a_source

from services.ingest import main as ingest
from shared.http.limits import RateLimiter

TRACK = {
    "userId": "u1",
    "event": "Whitepaper Downloaded",
    "messageId": "m1",
    "context": {"traits": {"email": "a@b.example"}},
}


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "api") as one:
        yield one


@pytest.fixture
async def source(caller: Caller) -> Sender:
    return await a_source(caller, kind="segment", settings={})


async def post(source: Sender, call: str, body: Any, *, key: str | None = None, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        given["authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
    return await ask(source.caller.app, f"/segment/v1/{call}", method="POST", headers=given, chunks=[raw])


async def test_the_address_to_paste_is_the_base_of_its_api(source: Sender) -> None:
    assert source.url == f"{PUBLIC_URL}/segment"


async def test_a_write_key_works_as_basic_user_and_in_the_body(source: Sender, pool: asyncpg.Pool) -> None:
    for body, key in ((TRACK, source.secret), ({**TRACK, "writeKey": source.secret}, None)):
        answer = await post(source, "track", body, key=key)
        assert (answer.status, answer.json) == (200, {"success": True})
    assert await pool.fetchval("SELECT count(*) FROM stream.log WHERE type = 'accord.activity'") == 1


async def test_a_batch_may_be_gzip_and_good_events_in_it_count(source: Sender, pool: asyncpg.Pool) -> None:
    batch = [{**TRACK, "type": "track", "messageId": f"m{n}"} for n in range(3)] + [{"type": "track"}, 7]
    body = gzip.compress(json.dumps({"batch": batch}).encode())
    answer = await post(source, "batch", body, key=source.secret, content_encoding="gzip")
    assert (answer.status, answer.json) == (200, {"success": True})
    assert await pool.fetchval("SELECT count(*) FROM stream.log WHERE type = 'accord.activity'") == 3


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"", 400, "invalid_json"),
        (b" " * 600_000, 400, "payload_too_large"),
        (json.dumps({"batch": [TRACK] * 2_501}).encode()[:511_000], 400, "invalid_json"),
        (json.dumps({"batch": [1] * 2_501}).encode(), 400, "invalid_json"),
    ],
)
async def test_what_can_not_be_used_is_told_as_its_sdks_read_it(
    source: Sender, body: bytes, status: int, code: str
) -> None:
    answer = await post(source, "batch", body, key=source.secret)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["message"]


async def test_a_wrong_key_is_refused_and_so_is_none(source: Sender) -> None:
    for key in ("wrong", None):
        answer = await post(source, "track", TRACK, key=key)
        assert (answer.status, answer.json["code"]) == (401, "invalid_write_key")


async def test_gzip_that_is_none_is_a_plain_refusal(source: Sender) -> None:
    answer = await post(source, "track", b"no gzip", key=source.secret, content_encoding="gzip")
    assert (answer.status, answer.json["code"]) == (400, "invalid_json")


async def test_a_rotated_write_key_works_beside_the_former_one(caller: Caller, source: Sender) -> None:
    rotated = await caller.post(f"/v1/sources/{source.id}/rotation", {})
    for key in (rotated.json["secret"], source.secret):
        assert (await post(source, "track", TRACK, key=key)).status == 200


async def test_a_write_key_works_at_once_also_where_sources_were_just_read(source: Sender) -> None:
    """SDKs drop what is answered 401: a key that isn't known is looked for before it is refused."""
    for _ in range(3):
        assert (await post(source, "track", TRACK, key=source.secret)).status == 200
        another = await a_source(source.caller, kind="segment", settings={})
        assert (await post(another, "track", TRACK, key=another.secret)).status == 200
        assert (await post(another, "track", TRACK, key="nobody's")).status == 401


async def test_a_source_has_its_rate_once_whichever_of_its_addresses_it_uses(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_INGEST_SOURCE_RATE_REQUESTS_PER_SECOND", "2")
    # On a clock that stands still nothing is granted again.
    monkeypatch.setattr(ingest, "RateLimiter", partial(RateLimiter, monotonic=lambda: 0.0))
    async with running_line(database_url, "ingest", "api") as caller:
        source = await a_source(caller, kind="segment", settings={})
        destination = Sender(caller, source.id, f"/v1/hooks/{source.id}", source.secret)
        bearer = {"authorization": f"Bearer {source.secret}"}
        answers = [
            await post(source, "track", TRACK, key=source.secret),
            await destination.post(json.dumps({**TRACK, "type": "track"}).encode(), bearer),
            await destination.post(json.dumps({**TRACK, "type": "track"}).encode(), bearer),
            await post(source, "track", TRACK, key=source.secret),
        ]
        assert [answer.status for answer in answers] == [200, 200, 429, 429]
