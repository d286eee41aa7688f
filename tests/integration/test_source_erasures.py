"""A vendor asks to forget a person: carried out like anybody's wish where the source may, else listed for somebody."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from api_builders import LINE, Caller, running_line
from builders import eventually
from hook_builders import Sender, a_source, logged

from shared.events.activity import LeadErased

ERASES = {"kind": "hubspot", "team": "sales", "settings": {"erases": True}}
LISTS = {"kind": "hubspot", "team": "sales", "settings": {}}
ADA, BOB = "ada@okapi.example", "bob@okapi.example"


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, *LINE, "delivery") as caller:
        yield caller


def told(kind: str, contact: int, **more: Any) -> dict[str, Any]:
    return {
        "subscriptionType": f"contact.{kind}",
        "objectId": contact,
        "portalId": 700,
        "subscriptionId": 55,
        "occurredAt": 1_795_337_100_000,
        **more,
    }


def has_email(contact: int, email: str) -> dict[str, Any]:
    return told("propertyChange", contact, propertyName="email", propertyValue=email)


async def say(sender: Sender, *events: dict[str, Any]) -> dict[str, Any]:
    """As HubSpot signs with version 1."""
    raw = json.dumps(events).encode()
    signature = hashlib.sha256(sender.secret.encode() + raw).hexdigest()
    answer = await sender.post(raw, {"content-type": "application/json", "x-hubspot-signature": signature})
    assert answer.status == 200, answer.body
    counts: dict[str, Any] = answer.json
    return counts


async def is_gone(caller: Caller, pool: asyncpg.Pool, lead_id: str) -> None:
    """From the api, and from what ingest has in memory."""

    async def is_erased() -> bool:
        is_unknown = (await caller.get(f"/v1/leads/{lead_id}")).status == 404
        return is_unknown and await pool.fetchval("SELECT count(*) FROM ingest.erased WHERE lead_id = $1", lead_id) == 1

    await eventually(is_erased, within=10)


async def erasures(pool: asyncpg.Pool) -> set[tuple[str, str]]:
    """Whom the log says were erased, and by whom: on every topic alike."""
    return {(data["lead_id"], data["by"]) for type_, data in await logged(pool) if type_ == LeadErased.TYPE}


async def test_whom_a_source_that_may_asks_to_forget_is_erased_in_its_name(caller: Caller, pool: asyncpg.Pool) -> None:
    sender = await a_source(caller, **ERASES)
    await say(sender, has_email(101, ADA), has_email(102, BOB))
    lead_id = (await caller.lead_in_stage(ADA, "lead"))["id"]
    assert (await say(sender, told("privacyDeletion", 101)))["kept"] == 1
    await is_gone(caller, pool, lead_id)
    assert (await caller.get(f"/v1/leads/{BOB}")).status == 200
    assert await pool.fetchval("SELECT count(*) FROM ingest.erasure_wishes") == 0
    assert await erasures(pool) == {(lead_id, f"source:{sender.id}")}
    entries = (await caller.get(f"/v1/audit-log?subject=lead&subject_id={lead_id}")).json["items"]
    who = [(one["action"], one["actor"], one["actor_name"], one["role"]) for one in entries]
    assert who == [("lead.erased", f"source:{sender.id}", "site", "source")]


async def test_it_is_listed_with_what_came_of_it_and_no_request_is_kept(caller: Caller) -> None:
    """Though the contact is heard of for the first time in the same request."""
    sender = await a_source(caller, **ERASES)
    await say(sender, has_email(101, ADA), told("privacyDeletion", 101), told("privacyDeletion", 999))

    async def reasons() -> list[str]:
        return sorted(one["reason"] for one in await sender.events("erasure"))

    async def are_listed() -> bool:
        return await reasons() == ["nobody on file is meant: nothing is held", "this lead is erased"]

    await eventually(are_listed, within=10)
    assert not any(one["is_kept"] for one in await sender.events("erasure"))

    async def is_gone() -> bool:
        return (await caller.get(f"/v1/leads/{ADA}")).status == 404

    await eventually(is_gone, within=10)


async def test_a_repeat_of_the_wish_finds_nobody_and_erases_no_new_lead(caller: Caller, pool: asyncpg.Pool) -> None:
    sender = await a_source(caller, **ERASES)
    await say(sender, has_email(101, ADA))
    old = (await caller.lead_in_stage(ADA, "lead"))["id"]
    await asyncio.gather(*(say(sender, told("privacyDeletion", 101, attemptNumber=n)) for n in range(5)))
    await is_gone(caller, pool, old)
    await caller.post_event("page.viewed", ADA)
    new = (await caller.lead_in_stage(ADA, "lead"))["id"]
    await say(sender, told("privacyDeletion", 101, attemptNumber=5))
    assert await erasures(pool) == {(old, f"source:{sender.id}")}
    assert (await caller.get(f"/v1/leads/{ADA}")).json["id"] == new


async def test_without_leave_it_is_kept_and_a_replay_carries_it_out_once_there_is(caller: Caller) -> None:
    sender = await a_source(caller, **LISTS)
    await say(sender, has_email(101, ADA), told("privacyDeletion", 101))
    await caller.lead_in_stage(ADA, "lead")
    (kept,) = await sender.events("erasure")
    assert kept["is_kept"]
    assert (await caller.get(f"/v1/leads/{ADA}")).status == 200
    changed = await caller.patch(f"/v1/sources/{sender.id}", {"settings": {"erases": True}})
    assert changed.status == 200, changed.body

    async def is_erased_by_a_replay() -> bool:
        # Ingest believes the former settings for a second.
        await caller.post(f"/v1/sources/{sender.id}/replays", {})
        return (await caller.get(f"/v1/leads/{ADA}")).status == 404

    await eventually(is_erased_by_a_replay, within=10)


async def test_who_may_not_erase_has_no_hand_in_a_source_that_does(caller: Caller) -> None:
    key = {"name": "x", "role": "operations", "scopes": ["sources:read", "sources:write"]}
    operator = caller.with_key((await caller.post("/v1/keys", key)).json["key"])
    sender, other = await a_source(caller, **ERASES), await a_source(operator, **LISTS)
    path = f"/v1/sources/{sender.id}"
    for answer in (
        await operator.post("/v1/sources", {"name": "crm", **ERASES}),
        await operator.patch(f"/v1/sources/{other.id}", {"settings": {"erases": True}}),
        await operator.patch(path, {"settings": {}}),
        await operator.patch(path, {"name": "crm"}),
        await operator.post(f"{path}/rotation", {"secret": "mine"}),
    ):
        assert (answer.status, answer.json["detail"]) == (403, "This call needs the scope leads:erase.")
    assert (await operator.patch(f"/v1/sources/{other.id}", {"name": "crm"})).status == 200
    assert (await operator.delete(path)).status == 204


async def test_kinds_without_such_requests_have_no_such_setting(caller: Caller) -> None:
    body = {"name": "site", "kind": "segment", "team": "marketing", "settings": {"erases": True}}
    answer = await caller.post("/v1/sources", body)
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "settings.erases")
