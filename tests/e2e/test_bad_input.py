"""Whatever is posted: a clear problem document, good neighbours accepted, and nothing of it in the log."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from builders import eventually
from running_accord import Answer, Caller, RunningAccord, has_applied

CANARY = "canary-7d1f"
LEAD = {"email": f"{CANARY}@okapi.example"}


def nested(levels: int) -> Any:
    value: Any = CANARY
    for _ in range(levels):
        value = {"a": value}
    return value


BAD_EVENTS: dict[str, Any] = {
    "not an object": CANARY,
    "no type": {"lead": LEAD},
    "type of another kind": {"type": 5, "lead": LEAD},
    "type that is no name": {"type": f"Page Viewed {CANARY}!", "lead": LEAD},
    "data of another kind": {"type": "page.viewed", "lead": LEAD, "data": CANARY},
    "lead of another kind": {"type": "page.viewed", "lead": [CANARY]},
    "unknown field": {"type": "page.viewed", "lead": LEAD, "shoe_size": CANARY},
    "unknown sales action": {"type": f"sales.{CANARY}", "lead": LEAD},
    "bad amount": {"type": "sales.won", "lead": LEAD, "data": {"amount": CANARY}},
    "no identifier": {"type": "page.viewed", "lead": {}, "data": {"path": CANARY}},
    "no lead": {"type": "page.viewed", "data": {"path": CANARY}},
    "no email address": {"type": "page.viewed", "lead": {"email": f"{CANARY} at home"}},
    "unparsable time": {"type": "page.viewed", "lead": LEAD, "occurred_at": f"yesterday {CANARY}"},
    "time without offset": {"type": "page.viewed", "lead": LEAD, "occurred_at": "2026-11-22T10:00:00"},
    "impossible date": {"type": "page.viewed", "lead": LEAD, "occurred_at": "2026-02-30T10:00:00Z"},
    "before our time": {"type": "page.viewed", "lead": LEAD, "occurred_at": "1999-12-31T23:59:59Z"},
    "year 0": {"type": "page.viewed", "lead": LEAD, "occurred_at": "0000-01-01T00:00:00Z"},
    "beyond the calendar": {"type": "page.viewed", "lead": LEAD, "occurred_at": "9999-12-31T23:59:59-23:59"},
    "time as a number": {"type": "page.viewed", "lead": LEAD, "occurred_at": 1e300},
    "nested too deeply": {"type": "page.viewed", "lead": LEAD, "data": nested(65)},
    "NUL": {"type": "page.viewed", "lead": LEAD, "data": {"path": f"{CANARY}\x00"}},
    "NUL in a key": {"type": "page.viewed", "lead": LEAD, "data": {f"{CANARY}\x00": 1}},
    "NUL in an identifier": {"type": "page.viewed", "lead": {"anonymous_id": f"{CANARY}\x00"}},
    "lone surrogate": {"type": "page.viewed", "lead": LEAD, "profile": {"title": f"{CANARY}\ud800"}},
    "nested far too deeply": {"type": "page.viewed", "lead": LEAD, "data": nested(900)},
    "NaN": {"type": "page.viewed", "lead": LEAD, "data": {"x": float("nan")}},
    "too large": {"type": "page.viewed", "lead": LEAD, "data": {"path": CANARY * 4_000}},
}

BAD_BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 422),
    "malformed JSON": (b'{"type": "page.viewed", "lead": {"email": "' + CANARY.encode(), 422),
    "no JSON at all": (CANARY.encode(), 422),
    "a number": (b"17", 422),
    "null": (b"null", 422),
    "no events": (b'{"events": []}', 422),
    "events of another kind": (b'{"events": "' + CANARY.encode() + b'"}', 422),
    "not UTF-8": (b'{"type": "page.viewed", "lead": {"email": "\xff' + CANARY.encode() + b'"}}', 422),
    "raw NUL": (b'{"type": "page.viewed\x00' + CANARY.encode() + b'"}', 422),
    "NaN": (b'{"type": "page.viewed", "lead": {"email": "a@b.example"}, "data": {"x": NaN}}', 422),
    "infinite": (b'{"type": "page.viewed", "lead": {"email": "a@b.example"}, "data": {"x": 1e999}}', 422),
    "duplicate keys": (b'{"type": "page.viewed", "type": "demo.requested", "lead": {"email": "a@b.example"}}', 422),
    "duplicate keys far inside": (b'{"type":"a.b","lead":{"email":"a@b.example"},"data":{"x":[{"y":1,"y":2}]}}', 422),
    "deep lists": (b"[" * 200_000, 422),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 422),
    "a huge number": (b'{"type":"a.b","lead":{"email":"a@b.example"},"data":{"x":' + b"9" * 5_000 + b"}}", 422),
    "10 MB": (b'{"type": "page.viewed", "data": {"path": "' + CANARY.encode() * 1_000_000 + b'"}}', 413),
}


@pytest.fixture(autouse=True)
def nothing_is_logged_raw(shared_accord: RunningAccord) -> Iterator[None]:
    yield
    assert CANARY not in shared_accord.logged()


@pytest.mark.parametrize("name", BAD_EVENTS)
async def test_a_bad_event_alone_is_a_problem_that_names_the_field(caller: Caller, name: str) -> None:
    answer = await caller.post("/v1/events", {"events": [BAD_EVENTS[name]]})
    assert_problem(answer, 422)
    assert answer.json["errors"]
    assert all(error["path"].startswith("events.0") and error["message"] for error in answer.json["errors"])


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_bad_body_is_a_problem(caller: Caller, name: str) -> None:
    body, status = BAD_BODIES[name]
    assert_problem(await caller.post("/v1/events", raw=body), status)


async def test_good_events_of_a_batch_are_accepted_beside_every_kind_of_bad_one(caller: Caller) -> None:
    good = [{"type": "page.viewed", "id": f"good-{n}", "lead": {"email": "good@okapi.example"}} for n in range(2)]
    answer = await caller.post("/v1/events", {"events": [good[0], *BAD_EVENTS.values(), good[1]]})
    assert answer.status == 202
    assert (answer.json["accepted"], answer.json["duplicates"]) == (2, 0)
    assert [rejected["index"] for rejected in answer.json["rejected"]] == list(range(1, len(BAD_EVENTS) + 1))
    assert all(rejected["errors"] for rejected in answer.json["rejected"])
    await eventually(lambda: has_applied(caller, "good@okapi.example", lambda lead: lead["engagement"] > 1.9))


async def test_a_time_to_come_counts_as_now(caller: Caller) -> None:
    event = {
        "type": "survey.completed",
        "lead": {"email": "early@okapi.example"},
        "occurred_at": "2099-01-01T00:00:00Z",
    }
    assert (await caller.post("/v1/events", event)).status == 202
    await eventually(lambda: has_applied(caller, "early@okapi.example", lambda lead: lead["engagement"] > 14.9))


async def test_a_wrong_media_type_is_a_problem(caller: Caller) -> None:
    assert_problem(await caller.post("/v1/events", raw=b"a=b", Content_Type="application/x-www-form-urlencoded"), 415)
    assert_problem(await caller.post("/v1/events", raw=b"{}", Content_Encoding="gzip"), 415)
    assert_problem(await caller.post("/v1/events", raw=b"\x1f\x8b\xff", Content_Encoding="gzip"), 415)
    assert_problem(await caller.post("/v1/events", raw=b"\xff", Content_Type="text/plain"), 415)


async def test_a_body_that_is_far_too_large_is_answered_by_the_api_too(caller: Caller) -> None:
    body = b'{"name": "' + CANARY.encode() * 1_000_000 + b'"}'
    assert_problem(await caller.post("/v1/sources", raw=body), 413)


async def test_an_empty_batch_of_cloudevents_is_no_fault(caller: Caller) -> None:
    batch = "application/cloudevents-batch+json"
    answer = await caller.post("/v1/events", raw=b"[]", Content_Type=batch)
    assert (answer.status, answer.json) == (202, {"accepted": 0, "duplicates": 0, "rejected": []})
    for body in (b"", b"{}", b"null", b"17"):
        assert_problem(await caller.post("/v1/events", raw=body, Content_Type=batch), 422)


async def test_an_event_in_binary_mode_may_have_no_body(caller: Caller) -> None:
    attributes = {"specversion": "1.0", "id": "no body", "source": "web", "type": "page.viewed"}
    headers = {f"ce_{name}": value for name, value in attributes.items()}
    answer = await caller.post("/v1/events", raw=b"", ce_subject="binary@okapi.example", **headers)
    assert (answer.status, answer.json["accepted"]) == (202, 1)


async def test_the_open_api_document_has_every_call(caller: Caller) -> None:
    document = (await caller.with_key(None).get("/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    assert {"/v1/events", "/v1/leads/{lead}/actions", "/v1/clocks"} <= document["paths"].keys()
    (state,) = (p for p in document["paths"]["/v1/clocks"]["get"]["parameters"] if p["name"] == "state")
    assert "commas" in state["description"]
    assert "#/$defs/" not in json.dumps(document)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"action": "befriended"}',
        b'{"action": "contacted", "action": "won"}',
        b'{"action": "note", "note": "\\u0000"}',
        b'{"action": "note", "note": "\\ud800"}',
        b'{"action": "won", "amount": 1e999}',
        b'{"action": "rejected", "reason": "' + CANARY.encode() + b'"}',
        b"[" * 100_000,
    ],
)
async def test_a_bad_action_is_a_problem(caller: Caller, body: bytes) -> None:
    event = {"type": "page.viewed", "id": "before-action", "lead": {"email": "acted.on@okapi.example"}}
    assert (await caller.post("/v1/events", event)).status == 202
    await eventually(lambda: has_applied(caller, "acted.on@okapi.example", lambda lead: True))
    assert_problem(await caller.post("/v1/leads/acted.on@okapi.example/actions", raw=body), 422)


async def test_an_unknown_rejection_reason_is_answered_with_those_allowed(caller: Caller) -> None:
    event = {"type": "page.viewed", "id": "before-rejection", "lead": {"email": "rejected@okapi.example"}}
    assert (await caller.post("/v1/events", event)).status == 202
    await eventually(lambda: has_applied(caller, "rejected@okapi.example", lambda lead: True))
    answer = await caller.post("/v1/leads/rejected@okapi.example/actions", {"action": "rejected", "reason": "mood"})
    assert_problem(answer, 422)
    assert "no_budget" in json.dumps(answer.json["errors"])


def assert_problem(answer: Answer, status: int) -> None:
    """RFC 9457, and nothing internal in it."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert {"type", "title", "status", "detail", "instance"} <= answer.json.keys()
    text = json.dumps(answer.json)
    assert CANARY not in text
    assert not any(word in text for word in ("Traceback", "asyncpg", "pydantic", "sqlalchemy", 'File \\"'))
