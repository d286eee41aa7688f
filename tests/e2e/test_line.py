"""The line over HTTP: what is posted comes out as a score, a stage, an owner, a clock."""

import asyncio
from typing import Any

from builders import eventually
from running_accord import Caller, has_applied

BUYER = {"title": "VP Operations", "company": "Okapi", "employees": 1_200, "industry": "logistics"}


async def test_the_same_event_posted_five_times_counts_once(caller: Caller) -> None:
    event = {"type": "survey.completed", "id": "five-times", "lead": {"email": "five@okapi.example"}}
    answers = await asyncio.gather(*(caller.post("/v1/events", event) for _ in range(5)))
    assert {answer.status for answer in answers} == {202}
    assert sorted((answer.json["accepted"], answer.json["duplicates"]) for answer in answers) == [(0, 1)] * 4 + [(1, 0)]
    await eventually(lambda: has_applied(caller, "five@okapi.example", lambda lead: lead["engagement"] > 0))
    explanation = (await caller.get("/v1/leads/five@okapi.example/explanation")).json
    assert [(grant["rule"], grant["points"]) for grant in explanation["grants"]] == [("survey", 15)]


async def test_the_same_content_without_an_id_is_a_duplicate(caller: Caller) -> None:
    event = {"type": "cta.completed", "lead": {"email": "same@okapi.example"}, "occurred_at": "2026-01-05T09:00:00Z"}
    first, second = await caller.post("/v1/events", event), await caller.post("/v1/events", {**event, "data": {}})
    third = await caller.post("/v1/events", event)
    assert [first.json["accepted"], second.json["accepted"], third.json["duplicates"]] == [1, 1, 1]


async def test_a_buyer_is_qualified_owned_and_promised_a_contact(caller: Caller) -> None:
    lead = await qualified(caller, "buyer@okapi.example")
    assert lead["grade"] == "A"
    assert lead["owner"] in {"ada@sales.example", "grace@sales.example"}
    rules = {clock["rule"] for clock in lead["clocks"]}
    assert rules == {"first-contact-hot", "accept-or-reject"}
    explanation = (await caller.get("/v1/leads/buyer@okapi.example/explanation")).json
    total = sum(line["worth"] for line in explanation["grants"]) + sum(a["points"] for a in explanation["adjustments"])
    assert abs(total - explanation["engagement"]) < 1e-9
    kinds = {item["kind"] for item in (await caller.get("/v1/leads/buyer@okapi.example/timeline")).json["items"]}
    assert len(kinds) >= 3


async def test_an_action_that_is_waited_for_is_answered_with_what_it_made_of_the_lead(caller: Caller) -> None:
    lead = await qualified(caller, "waited@okapi.example")
    path = f"/v1/leads/{lead['id']}/actions"
    contacted = await caller.post(path, {"action": "contacted", "channel": "call"}, Prefer="wait=5")
    assert contacted.status == 200
    accepted = await caller.post(path, {"action": "accepted"}, Prefer="wait=5")
    assert (accepted.status, accepted.json["stage"]) == (200, "sal")
    ahead = await caller.post(path, {"action": "opportunity.opened", "amount": 5, "currency": "USD"}, Prefer="wait=5")
    assert (ahead.status, ahead.json["stage"]) == (200, "opportunity")


async def test_an_action_that_is_not_waited_for_is_accepted(caller: Caller) -> None:
    await qualified(caller, "unwaited@okapi.example")
    answer = await caller.post("/v1/leads/unwaited@okapi.example/actions", {"action": "accepted"})
    assert (answer.status, "event_id" in answer.json) == (202, True)
    await eventually(lambda: has_applied(caller, "unwaited@okapi.example", lambda lead: lead["stage"] == "sal"))


async def test_a_traceparent_is_given_back(caller: Caller) -> None:
    sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event = {"type": "page.viewed", "lead": {"email": "traced@okapi.example"}}
    answer = await caller.post("/v1/events", event, traceparent=sent)
    assert answer.headers["traceparent"].split("-")[1] == sent.split("-")[1]


async def test_a_cloud_event_means_the_same_as_a_plain_one(caller: Caller) -> None:
    event: dict[str, Any] = {"specversion": "1.0", "id": "c1", "source": "site", "type": "survey.completed"}
    event |= {"subject": "cloud@okapi.example", "data": {"score": 9}}
    answer = await caller.post("/v1/events", event, Content_Type="application/cloudevents+json")
    assert (answer.status, answer.json["accepted"]) == (202, 1)
    plain = {"type": "survey.completed", "id": "c1", "source": "site", "lead": {"email": "cloud@okapi.example"}}
    assert (await caller.post("/v1/events", plain)).json["duplicates"] == 1
    await eventually(lambda: has_applied(caller, "cloud@okapi.example", lambda lead: 14.9 < lead["engagement"] <= 15))


async def qualified(caller: Caller, email: str) -> dict[str, Any]:
    """A lead who has just asked for a demo."""
    lead = {"email": email}
    events = [
        {"type": "whitepaper.downloaded", "lead": lead, "profile": BUYER},
        {"type": "demo.requested", "lead": lead},
    ]
    answer = await caller.post("/v1/events", {"events": events})
    assert (answer.status, answer.json["accepted"]) == (202, 2)
    await eventually(
        lambda: has_applied(caller, email, lambda lead: lead["stage"] == "mql" and len(lead["clocks"]) == 2)
    )
    found: dict[str, Any] = (await caller.get(f"/v1/leads/{email}")).json
    return found
