"""Actions of sales over HTTP: what is allowed is named, what is ignored says why, and webhooks go the same way."""

import codecs
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_builders import Caller, running_line
from builders import eventually

from shared.events.sales import Action

EMAIL = "mary@acme.example"
HOT = {"title": "CEO", "employees": 400, "industry": "software"}
PATH = f"/v1/leads/{EMAIL}/actions"


@pytest.fixture
async def caller(database_url: str) -> AsyncIterator[Caller]:
    async with running_line(database_url) as caller:
        await caller.post_event("demo.requested", EMAIL, profile=HOT)
        await caller.lead_in_stage(EMAIL, "mql")
        yield caller


async def act(caller: Caller, **action: Any) -> Any:
    answer = await caller.post(PATH, action, prefer="wait=5")
    assert answer.status == 200, answer.body
    return answer.json


WRONG = [
    ({"action": "dance"}, "action", [*Action]),
    ({"action": "rejected"}, "reason", ["not_ready", "no_budget", "competitor"]),
    ({"action": "rejected", "reason": "bored"}, "reason", ["not_ready", "no_budget", "competitor"]),
    ({"action": "snoozed"}, "until", ["required"]),
    ({"action": "snoozed", "until": "2020-01-01T00:00:00Z"}, "until", ["later than occurred_at"]),
    ({"action": "note"}, "note", ["required"]),
    ({"action": "won", "amount": -1}, "amount", ["greater than or equal to 0"]),
    ({"action": "won", "amount": 1, "currency": "euro"}, "currency", ["three capitals, such as EUR"]),
    ({"action": "accepted", "occurred_at": "1999-12-31T23:59:59Z"}, "occurred_at", ["2000-01-01"]),
    ({"action": "accepted", "occurred_at": "yesterday"}, "occurred_at", ["RFC 3339"]),
    ({"action": "assigned", "owner": ""}, "owner", ["at least 1 character"]),
    ({"action": "assigned", "if_owner": "ada@sales.example"}, "if_owner", ["not a known field"]),
]


async def test_every_wrong_field_is_named_with_what_is_allowed(caller: Caller) -> None:
    for action, path, words in WRONG:
        answer = await caller.post(PATH, action)
        assert answer.status == 422, action
        (error,) = answer.json["errors"]
        assert error["path"] == path, action
        assert all(word in error["message"] for word in words), error["message"]


async def test_an_answer_that_waited_says_whether_the_action_was_taken(caller: Caller) -> None:
    opened = await act(caller, action="opportunity.opened", amount=900.5, currency="EUR")
    assert (opened["stage"], opened["ignored"]) == ("opportunity", None)
    again = await act(caller, action="accepted", note="late")
    assert (again["stage"], again["ignored"]) == ("opportunity", "backwards")
    assert (await caller.get(f"/v1/leads/{EMAIL}")).json["ignored"] is None


async def test_an_action_counts_from_when_it_happened_and_never_from_later_than_now(caller: Caller) -> None:
    entered = (await caller.get(f"/v1/leads/{EMAIL}")).json["stage_entered_at"]
    # Before the lead became an mql: it can't have been accepted earlier than that.
    assert (await act(caller, action="accepted", occurred_at="2026-01-01T00:00:00Z"))["stage_entered_at"] == entered
    qualified = await act(caller, action="qualified", occurred_at="2100-01-01T00:00:00Z")
    assert entered < qualified["stage_entered_at"] <= qualified["as_of"]


async def test_webhooks_take_the_same_way_and_an_unknown_reason_is_ignored_there(caller: Caller) -> None:
    await caller.post_event("sales.rejected", EMAIL, data={"reason": "bored"}, source="crm")
    await caller.post_event("sales.opportunity.opened", EMAIL, data={"amount": 7, "currency": "USD"}, source="crm")
    await caller.lead_in_stage(EMAIL, "opportunity")
    actions: list[Any] = []

    async def are_shown() -> bool:
        items = (await caller.get(f"/v1/leads/{EMAIL}/timeline")).json["items"]
        actions[:] = [item["detail"] for item in items if item["kind"] == "action"]
        return len(actions) == 2

    await eventually(are_shown)
    assert {action["action"]: action["ignored"] for action in actions} == {
        "rejected": "unknown reason",
        "opportunity.opened": None,
    }
    assert {action["source"] for action in actions} == {"crm"}


async def test_a_body_is_utf_8_and_not_compressed(caller: Caller) -> None:
    note = b'{"action": "note", "note": "a"}'
    refused = await caller.post(PATH, gzip.compress(note), content_encoding="gzip")
    assert (refused.status, refused.json["detail"]) == (415, "Send the body without compression.")
    assert (await caller.post(PATH, note.decode().encode("utf-16"))).status == 422
    assert (await caller.post(PATH, codecs.BOM_UTF8 + note)).status == 202
