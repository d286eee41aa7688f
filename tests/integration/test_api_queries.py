"""What calls may be asked with: tried on every route, with what its OpenAPI description names and what it doesn't."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_builders import Caller, calls_of, running_line
from asgi_client import Answer, ask

from shared.clock import new_id


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url, "api") as caller:
        yield caller


async def called(caller: Caller, method: str, path: str, query: str) -> Answer:
    """Its body is broken, so that nothing is changed; what its path names is not there."""
    where = re.sub(r"\{\w+\}", lambda _: str(new_id()), path)
    headers = {"authorization": f"Bearer {caller.key}", "content-type": "application/json"}
    return await ask(caller.app, f"{where}?{query}", method=method, headers=headers, chunks=[b"{"])


async def parameters_of(caller: Caller) -> dict[tuple[str, str], dict[str, Any]]:
    """Of every call: the schema of each parameter of its query."""
    paths = (await caller.get("/openapi.json")).json["paths"]
    told = {call: paths[call[1]][call[0].lower()].get("parameters", ()) for call in calls_of(caller)}
    return {call: {one["name"]: one["schema"] for one in of if one["in"] == "query"} for call, of in told.items()}


async def test_a_parameter_that_a_call_does_not_have_is_refused_with_those_that_it_has(caller: Caller) -> None:
    for (method, path), known in (await parameters_of(caller)).items():
        answer = await called(caller, method, path, "emial=mary%40acme.example&x")
        assert answer.status == 422, (method, path)
        assert answer.headers["content-type"] == "application/problem+json"
        message = f"is not a parameter of this call; allowed: {', '.join(known) or 'none'}"
        assert answer.json["errors"] == [{"path": name, "message": message} for name in ("emial", "x")]
        assert "mary" not in answer.body.decode()


async def test_what_can_be_said_once_is_not_said_twice(caller: Caller) -> None:
    tried = set()
    for (method, path), known in (await parameters_of(caller)).items():
        for name, schema in known.items():
            answer = await called(caller, method, path, f"{name}=1&{name}=2")
            errors = answer.json.get("errors", ())
            twice = {"path": name, "message": "must be given once"} in errors
            assert twice != ("array" in str(schema)), (method, path, name)
            tried.add(twice)
    assert tried == {True, False}


async def test_without_a_key_nobody_is_told_what_a_call_may_be_asked_with(caller: Caller) -> None:
    for method, path in calls_of(caller):
        assert (await called(caller.with_key("acc_x_12345678"), method, path, "emial=x")).status == 401
