"""Sources, subscriptions, keys and accords over HTTP; what a key may do; and answers given once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from api_builders import PUBLIC_URL, Caller, calls_of, running_line
from builders import NOON
from standardwebhooks import Webhook

SOURCE = {"name": "Website", "kind": "generic", "team": "marketing"}
SUBSCRIPTION = {"name": "CRM", "url": "https://crm.example/hook", "types": ["accord.lead.qualified"]}
KEY = {"name": "Mary", "role": "sales", "scopes": ["leads:read"]}


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "ingest", "scoring", "api") as caller:
        yield caller


async def test_a_source_is_created_with_the_address_to_paste(caller: Caller) -> None:
    answer = await caller.post("/v1/sources", {**SOURCE, "settings": {"campaign": "spring"}})
    assert answer.status == 201
    assert answer.json["url"] == f"{PUBLIC_URL}/v1/hooks/{answer.json['id']}"
    assert len(answer.json["secret"]) >= 32
    listed = (await caller.get("/v1/sources")).json["items"]
    assert [item["settings"] for item in listed] == [{"campaign": "spring"}]
    assert "secret" not in listed[0]
    assert (await caller.post("/v1/sources", {**SOURCE, "kind": "fax"})).status == 422
    assert (await caller.post("/v1/sources", {**SOURCE, "settings": {"x": "a\0b"}})).status == 422


async def test_a_subscription_gets_a_secret_that_standard_webhooks_takes(caller: Caller) -> None:
    answer = await caller.post("/v1/subscriptions", {**SUBSCRIPTION, "condition": {"grade": {"in": ["A"]}}})
    assert answer.status == 201
    assert answer.json["state"] == "active"
    Webhook(answer.json["secret"]).sign("msg_1", NOON, "{}")
    own = await caller.post("/v1/subscriptions", {**SUBSCRIPTION, "secret": "whsec_" + "QUJD" * 8})
    assert own.json["secret"] == "whsec_" + "QUJD" * 8
    listed = (await caller.get("/v1/subscriptions?limit=1")).json
    assert listed["next"] is not None
    assert "secret" not in listed["items"][0]
    refused: tuple[dict[str, Any], ...] = (
        {"url": "ftp://x"},
        {"url": "//x"},
        {"types": ["nope"]},
        {"types": []},
        {"secret": "short"},
        {"condition": {"a": {"near": 1}}},
    )
    for wrong in refused:
        answer = await caller.post("/v1/subscriptions", {**SUBSCRIPTION, **wrong})
        assert (answer.status, bool(answer.json["errors"])) == (422, True), wrong


async def test_a_key_works_at_once_and_hands_out_no_more_than_it_has(caller: Caller) -> None:
    made = (await caller.post("/v1/keys", {**KEY, "scopes": ["keys:write", "leads:read"]})).json
    assert made["key"].startswith(f"acc_{made['id']}_")
    holder = caller.with_key(made["key"])
    assert (await holder.get("/v1/leads")).status == 200
    assert (await holder.get("/v1/clocks")).status == 403
    assert (await holder.post("/v1/keys", KEY)).status == 201
    assert (await holder.post("/v1/keys", {**KEY, "scopes": ["leads:act"]})).status == 403
    assert (await holder.post("/v1/keys", {**KEY, "role": "admin"})).status == 403
    assert (await caller.post("/v1/keys", {**KEY, "expires_at": "2020-01-01T00:00:00Z"})).status == 422
    assert all(
        "key" not in item and "secret_sha256" not in item for item in (await caller.get("/v1/keys")).json["items"]
    )


async def test_a_repeat_gives_the_first_answer_without_its_secret(caller: Caller, pool: asyncpg.Pool) -> None:
    answers = await asyncio.gather(*(caller.post("/v1/sources", SOURCE, idempotency_key="once") for _ in range(4)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len([answer for answer in answers if answer.json["secret"]]) == 1
    assert len((await caller.get("/v1/sources")).json["items"]) == 1
    secret = next(answer.json["secret"] for answer in answers if answer.json["secret"])
    assert secret not in await pool.fetchval("SELECT body::text FROM api.idempotency")
    assert (await caller.post("/v1/sources", {**SOURCE, "name": "B"}, idempotency_key="once")).status == 422


async def test_a_refused_call_leaves_its_idempotency_key_free(caller: Caller) -> None:
    assert (await caller.post("/v1/sources", {**SOURCE, "kind": "fax"}, idempotency_key="again")).status == 422
    assert (await caller.post("/v1/sources", SOURCE, idempotency_key="again")).status == 201


async def test_an_idempotency_key_is_forgotten_after_a_day(caller: Caller, pool: asyncpg.Pool) -> None:
    first = await caller.post("/v1/sources", SOURCE, idempotency_key="daily")
    await pool.execute("UPDATE api.idempotency SET created_at = created_at - interval '25 hours'")
    second = await caller.post("/v1/sources", SOURCE, idempotency_key="daily")
    assert first.json["id"] != second.json["id"]
    assert await pool.fetchval("SELECT count(*) FROM api.idempotency") == 1


async def test_the_accord_on_file_is_shown_and_says_that_nobody_signed_it(caller: Caller) -> None:
    item = (await caller.get("/v1/accords")).json["items"][0]
    assert (item["version"], item["state"], item["signatures"][0]["is_person"]) == (1, "effective", False)
    accord = (await caller.get("/v1/accords/1")).json
    assert accord["document"]["name"] == "Example Corp"
    assert accord["source_text"].startswith("#")
    for version in ("2", "0", "x", "99999999999999", "%00"):
        assert (await caller.get(f"/v1/accords/{version}")).status == 404


async def test_the_openapi_document_names_every_call(caller: Caller) -> None:
    paths = (await caller.get("/openapi.json")).json["paths"]
    for method, path in calls_of(caller):
        operation = paths[path][method.lower()]
        assert operation["summary"]
        assert operation["tags"]
        assert ("requestBody" in operation) >= (method == "PATCH")
