"""Sources are configured over the API: checked, sealed, changed, rotated, removed."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from api_builders import PUBLIC_URL, SECRET_KEY, Caller, running_line
from builders import eventually
from hook_builders import a_source, event

from services.first_start import prepare
from services.sealing import seal_anew
from shared.secret_box import SecretBox, new_secret_key
from shared.source_secrets import read


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "api") as one:
        yield one


async def test_a_secret_is_shown_once_and_stored_sealed(caller: Caller, pool: asyncpg.Pool) -> None:
    sender = await a_source(caller, secret="hush hush")
    assert sender.secret == "hush hush"
    assert sender.url == f"{PUBLIC_URL}/v1/hooks/{sender.id}"
    for path in ("/v1/sources", f"/v1/sources/{sender.id}"):
        assert "hush" not in (await caller.get(path)).body.decode()
    stored = await pool.fetchval("SELECT secret FROM api.sources")
    assert "hush" not in stored
    assert [one.text for one in read(SecretBox(SECRET_KEY).open(stored))] == ["hush hush"]


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"nonsense": 1}, "settings.nonsense"),
        ({"events": {"a": "Not A Type"}}, "settings.events.a"),
        ({"events": {"a": "sales.nonsense"}}, "settings.events.a"),
        ({"historical": "yes"}, "settings.historical"),
        ({"campaign": 7}, "settings.campaign"),
        ({"auth": {"type": "none"}}, "settings.auth.type"),
        ({"map": {"type": "a.["}}, "settings.map.type"),
    ],
)
async def test_a_wrong_setting_is_named_with_its_path(caller: Caller, settings: dict[str, Any], path: str) -> None:
    body = {"name": "site", "kind": "generic", "team": "marketing", "settings": settings}
    answer = await caller.post("/v1/sources", body)
    assert answer.status == 422
    assert [error["path"] for error in answer.json["errors"]] == [path]
    sender = await a_source(caller)
    assert (await caller.patch(f"/v1/sources/{sender.id}", {"settings": settings})).status == 422


async def test_an_unknown_kind_is_answered_with_those_there_are(caller: Caller) -> None:
    answer = await caller.post("/v1/sources", {"name": "x", "kind": "fax", "team": "sales"})
    assert answer.status == 422
    assert "generic" in answer.json["errors"][0]["message"]


async def test_what_is_left_out_of_a_change_stays(caller: Caller) -> None:
    sender = await a_source(caller, settings={"campaign": "spring"})
    answer = await caller.patch(f"/v1/sources/{sender.id}", {"name": "web"})
    assert (answer.json["name"], answer.json["settings"], answer.json["team"]) == (
        "web",
        {"campaign": "spring"},
        "marketing",
    )
    assert (await caller.patch(f"/v1/sources/{sender.id}", {"team": None})).status == 422
    assert (await caller.patch(f"/v1/sources/{sender.id}", {"kind": "hubspot"})).status == 422


async def test_a_removed_source_is_not_found_and_its_secret_is_gone(caller: Caller, pool: asyncpg.Pool) -> None:
    sender = await a_source(caller)
    assert (await caller.delete(f"/v1/sources/{sender.id}")).status == 204
    for method, path in (("get", ""), ("delete", ""), ("get", "/events")):
        answer = await getattr(caller, method)(f"/v1/sources/{sender.id}{path}")
        assert answer.status == 404
    assert (await caller.post(f"/v1/sources/{sender.id}/rotation", {})).status == 404
    assert await pool.fetchval("SELECT secret FROM api.sources") == ""
    assert (await caller.get("/v1/sources")).json["items"] == []


async def test_a_rotation_may_bring_the_senders_own_secret_and_is_given_once(caller: Caller) -> None:
    sender = await a_source(caller)
    first = await caller.post(f"/v1/sources/{sender.id}/rotation", {"secret": "theirs"}, idempotency_key="r")
    again = await caller.post(f"/v1/sources/{sender.id}/rotation", {"secret": "theirs"}, idempotency_key="r")
    assert (first.json["secret"], again.json["secret"]) == ("theirs", None)
    assert first.json["former_until"] == again.json["former_until"]
    assert first.json["former_until"].endswith("Z"), "as every other time"


async def test_a_repeated_call_shows_the_address_without_the_secret_that_is_part_of_it(caller: Caller) -> None:
    body = {"name": "crm", "kind": "salesforce", "team": "sales"}
    first, again = [(await caller.post("/v1/sources", body, idempotency_key="s")).json for _ in range(2)]
    assert first["secret"] in first["url"]
    assert (again["id"], again["secret"]) == (first["id"], None)
    assert again["url"] == (await caller.get(f"/v1/sources/{first['id']}")).json["url"]


async def test_a_sample_is_tried_out_and_nothing_of_it_is_kept(caller: Caller, pool: asyncpg.Pool) -> None:
    sender = await a_source(caller, settings={"map": {"type": "what", "email": "who"}})
    tried = await caller.post(f"/v1/sources/{sender.id}/test", {"body": '{"what": "Demo Asked", "who": "a@b.example"}'})
    assert tried.json["events"][0]["event"] == {"type": "demo.asked", "lead": {"email": "a@b.example"}}
    assert (await caller.post(f"/v1/sources/{sender.id}/test", {"body": "{"})).json["refused"]
    assert await pool.fetchval("SELECT count(*) FROM stream.log") == 0


async def test_kept_requests_need_a_scope_of_their_own_to_be_looked_into(caller: Caller) -> None:
    key = (await caller.post("/v1/keys", {"name": "k", "role": "operations", "scopes": ["sources:read"]})).json["key"]
    sender = await a_source(caller)
    reader = caller.with_key(key)
    assert (await reader.get(f"/v1/sources/{sender.id}/events")).status == 200
    assert (await reader.get(f"/v1/sources/{sender.id}/events/{sender.id}")).status == 403


async def test_a_source_is_listed_with_how_much_it_sent_and_when(caller: Caller) -> None:
    quiet, busy = await a_source(caller, name="quiet"), await a_source(caller, name="busy")
    for body in (event("1"), event("1"), [event("2"), {"type": "Page Viewed", "lead": {}}]):
        await busy.send(body)
    shown: dict[str, Any] = {}

    async def is_counted() -> bool:
        listed = (await caller.get("/v1/sources")).json["items"]
        shown.update({one["id"]: one["traffic"] for one in listed})
        return bool(shown[busy.id]["events"] == 4)

    await eventually(is_counted, within=10)
    assert shown[busy.id]["by_standing"] == {"accepted": 2, "duplicate": 1, "rejected": 1}
    assert shown[busy.id]["first_at"] < shown[busy.id]["last_at"]
    assert shown[quiet.id] == {"events": 0, "by_standing": {}, "first_at": None, "last_at": None}
    whole = (await caller.get(f"/v1/sources/{busy.id}")).json
    assert whole["traffic"] == shown[busy.id]
    assert min(kind["first_at"] for kind in whole["kinds"]) == shown[busy.id]["first_at"]


async def test_after_a_change_of_keys_sources_are_sealed_anew(database_url: str, pool: asyncpg.Pool) -> None:
    async with running_line(database_url, "api", "ingest") as caller:
        await a_source(caller, secret="hush hush")
    new = new_secret_key()
    await prepare(database_url, None, None, SecretBox(f"{new},{SECRET_KEY}"))
    assert "hush hush" in SecretBox(new).open(await pool.fetchval("SELECT secret FROM api.sources"))
    async with pool.acquire() as connection:
        await connection.execute("UPDATE api.sources SET secret = 'as it was'")
        await seal_anew(connection, SecretBox(new))
    assert SecretBox(new).open(await pool.fetchval("SELECT secret FROM api.sources")) == "as it was"
