"""Requests of which something could not be used: kept sealed, listed, replayed, and gone with who they are about."""

import json
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from api_builders import Caller, running_line
from builders import eventually
from hook_builders import SIGNED, Sender, a_source, event, logged

NOBODY = {"type": "page.viewed", "id": "nobody"}


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "api") as one:
        yield one


@pytest.fixture
async def sender(caller: Caller) -> Sender:
    return await a_source(caller)


async def test_good_events_are_accepted_beside_bad_ones_and_the_request_is_kept(
    caller: Caller, sender: Sender, pool: asyncpg.Pool
) -> None:
    answer = await sender.send([event("1"), NOBODY, {"type": "sales.nonsense"}, 17, event("2")])
    assert (answer.status, answer.json["accepted"], len(answer.json["rejected"])) == (200, 2, 3)
    (kept,) = await sender.events("rejected")
    assert {item["position"] for item in kept["items"]} == {1, 2, 3}
    assert kept["is_kept"]
    whole = await caller.get(f"/v1/sources/{sender.id}/events/{kept['id']}")
    assert json.loads(whole.json["request"]["body"])[1] == NOBODY
    stored = await pool.fetchval("SELECT sent FROM ingest.receipts WHERE receipt_id = $1", UUID(kept["id"]))
    assert "okapi" not in stored


async def test_a_kept_request_is_replayed_once_its_mapping_is_mended(
    caller: Caller, sender: Sender, pool: asyncpg.Pool
) -> None:
    body = {"event": "Demo Asked", "person": {"mail": "ada@okapi.example"}, "key": "k1"}
    assert (await sender.send([event("1")])).status == 200
    assert (await sender.send(body)).status == 422
    (kept,) = await sender.events("rejected", "unreadable")
    await caller.post(f"/v1/sources/{sender.id}/events/{kept['id']}/replay", {})

    async def was_replayed() -> bool:
        found = await sender.events("rejected", "unreadable")
        return found[0]["replayed_at"] is not None

    await eventually(was_replayed, within=6)
    map_ = {"type": "event", "email": "person.mail", "id": "key"}
    changed = await caller.patch(f"/v1/sources/{sender.id}", {"settings": {**SIGNED, "map": map_}})
    assert changed.status == 200, changed.body

    async def is_gone_once_replayed() -> bool:
        # Ingest believes the former settings for a second.
        await caller.post(f"/v1/sources/{sender.id}/replays", {})
        return not await sender.events("rejected", "unreadable")

    await eventually(is_gone_once_replayed, within=10)
    assert [data["type"] for _, data in await logged(pool)] == ["whitepaper.downloaded", "demo.asked"]


async def test_a_replay_asked_for_once_more_gives_the_first_answer(caller: Caller, sender: Sender) -> None:
    await sender.send([NOBODY])
    (kept,) = await sender.events("rejected")
    for place in (f"events/{kept['id']}/replay", "replays"):
        asked = [await caller.post(f"/v1/sources/{sender.id}/{place}", {}, idempotency_key=place) for _ in range(2)]
        assert [(one.status, one.json) for one in asked] == [(202, {"asked": 1})] * 2
    of_another_call = await caller.post(
        f"/v1/sources/{sender.id}/events/{kept['id']}/replay", {}, idempotency_key="replays"
    )
    assert of_another_call.status == 422


async def test_an_erased_leads_kept_requests_go_and_those_of_others_stay(
    caller: Caller, sender: Sender, pool: asyncpg.Pool
) -> None:
    assert (await sender.send(event("1", "ada@okapi.example"))).status == 200
    await sender.send([NOBODY, {"type": "a.b", "lead": {}, "data": {"who": "Ada@Okapi.example"}}])
    await sender.send([NOBODY, {"type": "a.b", "lead": {}, "data": {"who": "bob@okapi.example"}}])
    assert len(await sender.events("rejected")) + len(await sender.events("incomplete")) == 2
    lead_id = await pool.fetchval("SELECT lead_id FROM ingest.identities WHERE value = 'ada@okapi.example'")
    await pool.execute(
        "INSERT INTO api.erasures (lead_id, requested_at, requested_by) VALUES ($1, now(), 'test')", lead_id
    )

    async def is_one_left() -> bool:
        return bool(await pool.fetchval("SELECT count(*) = 1 FROM ingest.receipts WHERE sent IS NOT NULL"))

    await eventually(is_one_left, within=10)
    (kept,) = [one for one in await sender.events() if one["is_kept"]]
    shown = await caller.get(f"/v1/sources/{sender.id}/events/{kept['id']}")
    assert "bob@okapi.example" in shown.json["request"]["body"]
