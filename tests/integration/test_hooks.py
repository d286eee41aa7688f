"""Webhooks of configured sources, over HTTP and a real Postgres: proven, judged one by one, counted once, kept."""

import asyncio
import gzip
import hmac
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from api_builders import Caller, running_line
from asgi_client import ask
from builders import eventually
from hook_builders import SIGNED, Sender, a_source, event, logged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.clock import ManualClock, SystemClock

NOBODY = {"type": "page.viewed", "id": "nobody"}


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "api") as one:
        yield one


@pytest.fixture
async def sender(caller: Caller) -> Sender:
    return await a_source(caller)


async def test_a_signed_webhook_becomes_an_activity_under_its_folded_name(sender: Sender, pool: asyncpg.Pool) -> None:
    answer = await sender.send(event("1"))
    assert (answer.status, answer.json["accepted"]) == (200, 1)
    ((type_, data),) = await logged(pool)
    assert (type_, data["type"], data["source"], data["team"]) == (
        "accord.activity",
        "whitepaper.downloaded",
        "site",
        "marketing",
    )


async def test_the_sources_own_mapping_comes_before_folding(caller: Caller, pool: asyncpg.Pool) -> None:
    sender = await a_source(caller, settings={**SIGNED, "events": {"Whitepaper Downloaded": "content.read"}})
    await sender.send(event("1"))
    assert [data["type"] for _, data in await logged(pool)] == ["content.read"]


async def test_what_a_historical_source_sends_is_marked(caller: Caller, pool: asyncpg.Pool) -> None:
    sender = await a_source(caller, settings={**SIGNED, "historical": True})
    await sender.send([event("1"), event("2", type="sales.contacted", profile={"title": "CTO"})])
    assert [data.get("historical") for _, data in await logged(pool)] == [True] * 3


@pytest.mark.parametrize("headers", [{}, {"x-signature": "0" * 64}, {"x-signature": ""}, {"x-signature": "é"}])
async def test_an_unproven_or_forged_request_is_refused_and_nothing_of_it_is_kept(
    sender: Sender, pool: asyncpg.Pool, headers: dict[str, str]
) -> None:
    raw = json.dumps(event("1")).encode()
    answer = await sender.post(raw, {name: value.encode().decode("latin-1") for name, value in headers.items()})
    assert answer.status == 401
    assert await logged(pool) == []

    async def is_listed() -> bool:
        return bool(await sender.events("refused"))

    await eventually(is_listed, within=5)
    assert await pool.fetchval("SELECT count(*) FROM ingest.receipts WHERE sent IS NOT NULL") == 0


async def test_a_truncated_body_does_not_fit_its_signature(sender: Sender) -> None:
    raw = json.dumps(event("1")).encode()
    signature = hmac.digest(sender.secret.encode(), raw, "sha256").hex()
    assert (await sender.post(raw[:-1], {"x-signature": signature})).status == 401


async def test_an_unknown_source_is_404_whatever_its_id_looks_like(caller: Caller) -> None:
    for id in (str(UUID(int=7)), "x", "%00", "a" * 300, str(UUID(int=7)).upper().replace("0", "A")):
        answer = await ask(caller.app, f"/v1/hooks/{id}", method="POST", chunks=[b"{}"])
        assert answer.status == 404
        assert "source" in answer.json["detail"]


async def test_a_removed_source_is_unknown_within_two_seconds(caller: Caller, sender: Sender) -> None:
    assert (await sender.send(event("1"))).status == 200
    assert (await caller.delete(f"/v1/sources/{sender.id}")).status == 204

    async def is_gone() -> bool:
        return (await sender.send(event("2"))).status == 404

    await eventually(is_gone, within=3)


async def test_former_secrets_work_for_the_overlap_and_no_longer(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(SystemClock().now())
    monkeypatch.setattr("services.composition.SystemClock", lambda: clock)
    async with running_line(database_url, "ingest", "api") as caller:
        sender = await a_source(caller)

        async def works(secret: str) -> bool:
            return (await sender.send(event("1"), secret=secret)).status == 200

        assert await works(sender.secret)
        answer = await caller.post(f"/v1/sources/{sender.id}/rotation", {"overlap_seconds": 2})
        assert answer.status == 200
        assert await works(answer.json["secret"])
        clock.advance(timedelta(seconds=1.9))
        assert await works(sender.secret)
        assert not await works("nobody's")

        async def has_ended() -> bool:
            return not await works(sender.secret)

        clock.advance(timedelta(seconds=0.2))
        # What was read of a source is believed for a second.
        await eventually(has_ended)
        assert await works(answer.json["secret"])


async def test_one_event_sent_three_ways_and_in_one_batch_twice_counts_once(sender: Sender, pool: asyncpg.Pool) -> None:
    first, second, third = await asyncio.gather(
        sender.send([event("1"), event("1")]), sender.send(event("1")), sender.send(event("1"), zipped=True)
    )
    assert {answer.status for answer in (first, second, third)} == {200}
    assert sum(answer.json["accepted"] for answer in (first, second, third)) == 1
    assert sum(answer.json["duplicates"] for answer in (first, second, third)) == 3
    assert len(await logged(pool)) == 1


async def test_a_repeat_after_a_restart_and_at_another_process_counts_once(
    database_url: str, pool: asyncpg.Pool
) -> None:
    async with running_line(database_url, "ingest", "api") as one:
        sender = await a_source(one)
        assert (await sender.send(event("1"))).json["accepted"] == 1
        async with running_line(database_url, "ingest") as other:
            elsewhere = Sender(other, sender.id, sender.url, sender.secret)
            both = await asyncio.gather(*(who.send([event("1"), event("2")]) for who in (sender, elsewhere)))
            assert sorted(answer.json["accepted"] for answer in both) == [0, 1]
    async with running_line(database_url, "ingest") as again:
        later = Sender(again, sender.id, sender.url, sender.secret)
        assert (await later.send([event("1"), event("2")])).json["duplicates"] == 2
    assert len(await logged(pool)) == 2


async def test_gzip_is_inflated_to_a_bound_and_a_bomb_is_refused(sender: Sender) -> None:
    assert (await sender.send(event("1"), zipped=True)).status == 200
    bomb = gzip.compress(b" " * 50_000_000)
    assert (await sender.post(bomb, {"content-encoding": "gzip"})).status == 413
    assert (await sender.post(b"x" * 2_000_000)).status == 413
    assert (await sender.post(b"no gzip", {"content-encoding": "gzip"})).status == 422
    assert (await sender.post(gzip.compress(b"{}")[:-4], {"content-encoding": "gzip"})).status == 422
    assert (await sender.post(b"{}", {"content-encoding": "br"})).status == 415


async def test_an_identifier_that_was_tied_to_an_email_leads_to_its_lead_from_every_source(
    caller: Caller, pool: asyncpg.Pool
) -> None:
    site, shop = await a_source(caller), await a_source(caller, name="shop")
    await site.send(event("1", lead={"anonymous_id": "cookie"}))
    tie = {"email": " Ada@ÖKAPI.example ", "anonymous_id": "cookie", "ids": {"crm": "42"}}
    await site.send(event("2", lead=tie))
    await shop.send([event("3", lead={"ids": {"crm": "42"}}), event("4", lead={"anonymous_id": "cookie"})])
    await shop.send(event("5", lead={"email": "ada@xn--kapi-4qa.example"}))
    found = [data for _, data in await logged(pool)]
    leads = {data["lead_id"] for data in found if data["source"] == "shop" or "email" in data["identifiers"]}
    assert (len(found), len(leads)) == (5, 1)


async def test_a_source_may_not_send_faster_than_its_limit(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_INGEST_SOURCE_RATE_REQUESTS_PER_SECOND", "2")
    async with running_line(database_url, "ingest", "api") as caller:
        sender, other = await a_source(caller), await a_source(caller)
        answers = [await sender.send(event(str(n))) for n in range(6)]
        limited = [answer for answer in answers if answer.status == 429]
        assert limited
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in limited)
        assert (await other.send(event("1"))).status == 200


async def test_past_the_bytes_under_way_a_request_is_told_to_come_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_INGEST_IN_FLIGHT_BYTES_MAX", "1000")
    async with running_line(database_url, "ingest", "api") as caller:
        sender = await a_source(caller)
        answers = await asyncio.gather(*(sender.send(event(str(n), data={"x": "y" * 600})) for n in range(3)))
        refused = [answer for answer in answers if answer.status == 503]
        assert refused
        assert refused[0].headers["retry-after"]
        assert (await sender.send(event("later"))).status == 200


# What JSON can hold, and what isn't JSON at all.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
EVENTISH = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["page.viewed", "sales.won", "Ünïcode", ""]) | JSON,
        "lead": st.just({"email": "x@okapi.example"}) | JSON,
        "id": st.text(max_size=5) | JSON,
        "data": JSON,
        "profile": JSON,
        "occurred_at": st.just("2026-11-20T10:00:00Z") | JSON,
    },
)


async def test_no_body_yields_a_5xx_and_none_loses_the_good_event_beside_it(sender: Sender) -> None:
    loop = asyncio.get_running_loop()
    names = iter(range(1_000_000))

    async def all_is_well(beside: list[Any], raw: bytes) -> None:
        good = event(f"good {next(names)}")
        answer = await sender.send([*beside, good])
        assert answer.status == 200, (answer.status, answer.body)
        assert answer.json["accepted"] + answer.json["duplicates"] >= 1
        again = await sender.send(good)
        assert again.json["duplicates"] == 1, "the good event was lost"
        assert (await sender.send(raw)).status < 500

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(beside=st.lists(JSON | EVENTISH, max_size=4), raw=st.binary(max_size=60) | st.just(b"[" * 5_000))
    def try_it(beside: list[Any], raw: bytes) -> None:
        asyncio.run_coroutine_threadsafe(all_is_well(beside, raw), loop).result(30)

    await asyncio.to_thread(try_it)


async def test_the_document_shows_how_hooks_are_posted(caller: Caller) -> None:
    paths = (await caller.get("/openapi.json")).json["paths"]
    assert re.search("own format", paths["/v1/hooks/{source_id}"]["post"]["summary"])


async def test_a_binary_cloud_event_needs_no_content_type_and_a_bad_header_of_it_is_named(caller: Caller) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/web", "ce-type": "page.viewed"}
    headers |= {"authorization": f"Bearer {caller.key}", "ce-subject": "ada%40okapi.example"}
    answer = await ask(caller.app, "/v1/events", method="POST", headers=headers)
    assert (answer.status, answer.json["accepted"]) == (202, 1)
    answer = await ask(caller.app, "/v1/events", method="POST", headers={**headers, "ce-subject": "%C0%A0"})
    assert (answer.status, [error["path"] for error in answer.json["errors"]]) == (422, ["ce-subject"])
