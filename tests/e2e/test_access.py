"""Keys over HTTP: none, wrong ones, and too few scopes."""

import pytest
from running_accord import ADMIN_KEY, Answer, Caller

EVENT = {"type": "page.viewed", "lead": {"email": "key@okapi.example"}}


@pytest.mark.parametrize(
    "key",
    [
        None,
        "",
        "nonsense",
        "acc_test_",
        "acc_test_" + "0" * 32,
        "acc_nobody_" + "0" * 32,
        ADMIN_KEY[:-1],
        f"{ADMIN_KEY}0",
    ],
)
async def test_without_a_valid_key_nobody_gets_in(caller: Caller, key: str | None) -> None:
    stranger = caller.with_key(key)
    answers = [
        await stranger.post("/v1/events", EVENT),
        await stranger.get("/v1/leads"),
        await stranger.get("/v1/keys"),
    ]
    for answer in answers:
        assert_problem(answer, 401)
    first = answers[0].json
    assert {answer.json["title"] for answer in answers} == {first["title"]}
    assert {answer.json.get("detail") for answer in answers} == {first.get("detail")}


async def test_a_key_without_the_scope_is_refused_and_told_which_one(caller: Caller) -> None:
    reader = await key_with(caller, "leads:read")
    assert (await reader.get("/v1/leads")).status == 200
    for answer in (
        await reader.post("/v1/events", EVENT),
        await reader.get("/v1/clocks"),
        await reader.post("/v1/keys", {}),
    ):
        assert_problem(answer, 403)
    assert "events:write" in (await reader.post("/v1/events", EVENT)).json["detail"]


async def test_a_key_that_may_post_may_not_read(caller: Caller) -> None:
    poster = await key_with(caller, "events:write")
    assert (await poster.post("/v1/events", EVENT)).status == 202
    assert_problem(await poster.get("/v1/leads"), 403)


async def test_health_and_metrics_need_no_key(caller: Caller) -> None:
    stranger = caller.with_key(None)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await stranger.get(path)).status == 200


async def test_the_metrics_say_that_the_process_is_ready(caller: Caller) -> None:
    shown = (await caller.with_key(None).get("/metrics")).text
    assert "accord_process_ready 1.0" in shown.splitlines()


async def key_with(caller: Caller, *scopes: str) -> Caller:
    answer = await caller.post("/v1/keys", {"name": "test", "role": "operations", "scopes": list(scopes)})
    assert answer.status == 201, answer
    return caller.with_key(answer.json["key"])


def assert_problem(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
