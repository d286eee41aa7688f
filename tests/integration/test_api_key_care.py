"""Keys over HTTP: changed, rotated, revoked, limited to an owner's leads; and the log of who did what."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from api_builders import Caller, running_line
from builders import eventually

from shared.http.scopes import SCOPES

KEY = {"name": "Mary", "role": "sales", "scopes": ["leads:read", "leads:act", "clocks:read"]}
HOT = {"title": "VP Operations", "company": "Acme", "employees": 400, "industry": "logistics"}


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url) as caller:
        yield caller


async def made(caller: Caller, **more: Any) -> dict[str, Any]:
    answer = await caller.post("/v1/keys", {**KEY, **more})
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.json
    return found


async def test_scopes_come_from_a_closed_list_that_the_refusal_names(caller: Caller) -> None:
    answer = await caller.post("/v1/keys", {**KEY, "scopes": ["leads:read", "leads:dance"]})
    assert answer.status == 422
    (error,) = answer.json["errors"]
    assert error["path"] == "scopes.1"
    assert all(scope in error["message"] for scope in SCOPES)


async def test_a_key_is_changed_and_the_change_counts_within_a_second(caller: Caller) -> None:
    key = await made(caller)
    holder = caller.with_key(key["key"])
    assert (await holder.get("/v1/leads")).status == 200
    changed = await caller.patch(f"/v1/keys/{key['id']}", {"scopes": ["clocks:read"], "name": "Maria"})
    assert (changed.status, changed.json["name"], changed.json["scopes"]) == (200, "Maria", ["clocks:read"])

    async def is_refused() -> bool:
        return (await holder.get("/v1/leads")).status == 403

    await eventually(is_refused, within=1)
    assert (await caller.patch(f"/v1/keys/{key['id']}", {"scopes": None})).status == 422
    assert (await caller.patch("/v1/keys/nobody", {"name": "x"})).status == 404


async def test_a_revoked_key_ends_within_a_second_and_stays_on_file(caller: Caller) -> None:
    key = await made(caller)
    holder = caller.with_key(key["key"])
    assert (await holder.get("/v1/leads")).status == 200
    assert (await caller.delete(f"/v1/keys/{key['id']}")).status == 204

    async def is_out() -> bool:
        return (await holder.get("/v1/leads")).status == 401

    await eventually(is_out, within=1)
    assert (await caller.get(f"/v1/keys/{key['id']}")).json["revoked_at"] is not None
    assert (await caller.delete(f"/v1/keys/{key['id']}")).status == 404


async def test_the_last_key_of_role_admin_can_t_be_taken_away(caller: Caller) -> None:
    assert (await caller.delete("/v1/keys/tests")).status == 409
    assert (await caller.patch("/v1/keys/tests", {"role": "sales"})).status == 409
    assert (await caller.patch("/v1/keys/tests", {"expires_at": "2099-01-01T00:00:00Z"})).status == 409
    await made(caller, role="admin", scopes=[])
    assert (await caller.patch("/v1/keys/tests", {"expires_at": "2099-01-01T00:00:00Z"})).status == 200


async def test_both_secrets_of_a_rotated_key_work_while_they_overlap(caller: Caller) -> None:
    key = await made(caller)
    rotated = await caller.post(f"/v1/keys/{key['id']}/rotation", {"overlap_seconds": 3600})
    assert rotated.status == 200
    for secret in (key["key"], rotated.json["key"]):
        assert (await caller.with_key(secret).get("/v1/leads")).status == 200
    again = await caller.post(f"/v1/keys/{key['id']}/rotation", {"overlap_seconds": 0})

    async def only_the_newest_works() -> bool:
        keys = (key["key"], rotated.json["key"], again.json["key"])
        return [(await caller.with_key(secret).get("/v1/leads")).status for secret in keys] == [401, 401, 200]

    await eventually(only_the_newest_works, within=1)


async def test_nobody_reaches_beyond_their_own_rights_through_another_key(caller: Caller) -> None:
    clerk = caller.with_key((await made(caller, scopes=["keys:write", "leads:read"]))["key"])
    admin, other, richer = "tests", (await made(caller, role="marketing"))["id"], (await made(caller))["id"]
    for key_id in (admin, other, richer):
        assert (await clerk.post(f"/v1/keys/{key_id}/rotation", {})).status == 403
        assert (await clerk.patch(f"/v1/keys/{key_id}", {"name": "mine"})).status == 403
        assert (await clerk.delete(f"/v1/keys/{key_id}")).status == 403
    own = (await clerk.post("/v1/keys", {**KEY, "scopes": ["leads:read"]})).json["id"]
    assert (await clerk.patch(f"/v1/keys/{own}", {"scopes": ["leads:act"]})).status == 403
    assert (await clerk.patch(f"/v1/keys/{own}", {"role": "marketing"})).status == 403
    assert (await clerk.delete(f"/v1/keys/{own}")).status == 204


async def test_a_key_shows_when_it_was_used_last(caller: Caller) -> None:
    key = await made(caller)
    assert (await caller.get(f"/v1/keys/{key['id']}")).json["last_used_at"] is None
    await caller.with_key(key["key"]).get("/v1/leads")

    async def is_shown() -> bool:
        return (await caller.get(f"/v1/keys/{key['id']}")).json["last_used_at"] is not None

    await eventually(is_shown, within=15)


async def test_a_rep_s_key_sees_and_touches_its_own_leads_only(caller: Caller) -> None:
    for email in ("mary@acme.example", "paul@other.example"):
        await caller.post_event("demo.requested", email, profile={**HOT, "company": email}, source="website")
    mine, other = [await caller.lead_in_stage(email, "mql") for email in ("mary@acme.example", "paul@other.example")]
    assert mine["owner"] != other["owner"]
    rep = caller.with_key((await made(caller, owner=mine["owner"]))["key"])
    assert [lead["id"] for lead in (await rep.get("/v1/leads")).json["items"]] == [mine["id"]]
    assert {clock["owner"] for clock in (await rep.get("/v1/clocks")).json["items"]} == {mine["owner"]}
    for name in (mine["id"], mine["email"]):
        for below in ("", "/timeline", "/explanation"):
            assert (await rep.get(f"/v1/leads/{name}{below}")).status == 200
    for name in (other["id"], other["email"], "nobody@acme.example"):
        for below in ("", "/timeline", "/explanation"):
            assert (await rep.get(f"/v1/leads/{name}{below}")).status == 404
        assert (await rep.post(f"/v1/leads/{name}/actions", {"action": "accepted"})).status == 404
    assert (await rep.get(f"/v1/leads?owner={other['owner']}")).status == 403
    assert (await rep.post(f"/v1/leads/{mine['id']}/actions", {"action": "accepted"})).status == 202


async def test_every_change_is_in_the_log_without_its_secret(caller: Caller, pool: asyncpg.Pool) -> None:
    key = await made(caller)
    await caller.patch(f"/v1/keys/{key['id']}", {"name": "Maria"})
    await caller.post(f"/v1/keys/{key['id']}/rotation", {})
    await caller.delete(f"/v1/keys/{key['id']}")
    source = (await caller.post("/v1/sources", {"name": "Web", "kind": "generic", "team": "marketing"})).json
    entries = (await caller.get(f"/v1/audit-log?subject=key&subject_id={key['id']}")).json["items"]
    assert [entry["action"] for entry in entries] == ["key.revoked", "key.changed", "key.changed", "key.created"]
    assert {(entry["actor"], entry["role"]) for entry in entries} == {("tests", "admin")}
    assert (entries[2]["before"], entries[2]["after"]) == ({"name": "Mary"}, {"name": "Maria"})
    assert entries[1]["after"]["secret_sha256"] == "(hidden)"
    logged = await pool.fetchval("SELECT string_agg(audit_log::text, '') FROM api.audit_log")
    assert source["secret"] not in logged
    assert (await pool.fetchval("SELECT encode(secret_sha256, 'hex') FROM api.keys LIMIT 1")) not in logged
    page = (await caller.get("/v1/audit-log?limit=2")).json
    assert len(page["items"]) == 2
    following = (await caller.get(f"/v1/audit-log?limit=500&cursor={page['next']}")).json["items"]
    assert following[0]["id"] < page["items"][1]["id"]
    assert (await caller.with_key(key["key"]).get("/v1/audit-log")).status in (401, 403)
