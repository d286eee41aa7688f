"""The authorisation matrix, tried out: every call of the app × role × scope × own or another's lead."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_builders import Caller, calls_of, running_line
from asgi_client import ask

from services.api.routes.scopes import LIMITED, SCOPES
from shared.clock import new_id
from shared.http import scopes

HOT = {"title": "VP Operations", "company": "Acme", "employees": 400, "industry": "logistics"}


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url) as caller:
        yield caller


async def holder_of(caller: Caller, role: str, *granted: str, **more: Any) -> Caller:
    made = await caller.post("/v1/keys", {"name": "x", "role": role, "scopes": granted, **more})
    assert made.status == 201, made.body
    return caller.with_key(made.json["key"])


async def status_of(caller: Caller, method: str, path: str, **values: str) -> int:
    """What the call answers; its body is broken, so that nothing is changed by those who may."""
    where = re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], str(new_id())), path)
    headers = {"content-type": "application/json"}
    if caller.key is not None:
        headers["authorization"] = f"Bearer {caller.key}"
    answer = await ask(caller.app, where, method=method, headers=headers, chunks=[b"{" if method != "DELETE" else b""])
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json", where
    return answer.status


async def test_every_call_has_a_rule_and_every_scope_a_call(caller: Caller) -> None:
    calls = set(calls_of(caller))
    assert calls == set(SCOPES)
    assert {one for scope in SCOPES.values() for one in scope.split(" or ")} | {"events:write"} == set(scopes.SCOPES)
    assert set(LIMITED) <= set(SCOPES)
    assert all("{lead}" in path for _, path in calls if path.startswith("/v1/leads/"))


async def test_nobody_gets_in_without_a_key(caller: Caller) -> None:
    for method, path in calls_of(caller):
        for key in (None, "acc_x_12345678", "acc_tests_wrong-secret"):
            assert await status_of(caller.with_key(key), method, path) == 401, (method, path)


async def test_a_role_alone_opens_nothing_but_admin_everything(caller: Caller) -> None:
    for role in scopes.ROLES:
        holder = await holder_of(caller, role)
        for method, path in calls_of(caller):
            status = await status_of(holder, method, path)
            assert (status == 403) == (role != scopes.ADMIN), (role, method, path, status)


async def test_a_scope_opens_its_calls_and_no_others(caller: Caller) -> None:
    for scope in scopes.SCOPES:
        holder = await holder_of(caller, "operations", scope)
        for method, path in calls_of(caller):
            status = await status_of(holder, method, path)
            assert (status != 403) == (scope in SCOPES[method, path].split(" or ")), (scope, method, path, status)
            assert status < 500


async def test_a_key_limited_to_an_owner_reaches_no_lead_of_another(caller: Caller) -> None:
    for email in ("mary@acme.example", "paul@other.example"):
        await caller.post_event("demo.requested", email, profile={**HOT, "company": email}, source="website")
    mine, other = [await caller.lead_in_stage(email, "mql") for email in ("mary@acme.example", "paul@other.example")]
    rep = await holder_of(caller, "sales", *scopes.SCOPES, owner=mine["owner"])
    for method, path in calls_of(caller):
        of_other = await status_of(rep, method, path, lead=other["id"])
        if (method, path) not in LIMITED:
            assert of_other == 403, (method, path)
        elif "{lead}" in path:
            assert of_other == 404, (method, path)
        if (method, path) in LIMITED and method == "GET" and "{version}" not in path:
            assert await status_of(rep, method, path, lead=mine["id"]) == 200, (method, path)
