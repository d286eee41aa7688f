"""What a lead page begins with: somebody who has never seen Accord can say why, and what is due by when."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.api.pages.standing import Qualified, qualified, sentences, to_do
from services.api.pages.waterfall import waterfall
from services.api.pages.words import When

NOW = datetime(2026, 11, 27, 15, tzinfo=UTC)
WHEN = When(ZoneInfo("Europe/Berlin"), NOW)
LEAD: dict[str, Any] = {
    "id": "7ce18abc-4dc2-43b8-9d34-8ebc870abb55",
    "email": "mary@acme.example",
    "profile": {"name": "Mary"},
    "stage": "mql",
    "stage_entered_at": "2026-11-26T09:00:00Z",
    "engagement": 55.2,
    "grade": "A",
    "accord": 1,
    "mql": {"words": "engagement at least 40", "holds": True, "engagement": [40]},
    "below_threshold_at": None,
}
CLOCK: dict[str, Any] = {
    "rule": "accept-or-reject",
    "started_at": "2026-11-26T09:00:00Z",
    "closed_at": None,
    "state": "open",
    "owner": "ada@sales.example",
    "stops": ["accepted", "rejected", "recycled"],
    "deadline": "2026-11-27T16:30:00Z",
    "paused_until": None,
}
WAS = Qualified("2026-11-26T09:00:00Z", 1, 62.0, "A", [("demo", 60.0), ("page view", 2.0)])


def told(lead: dict[str, Any], *clocks: dict[str, Any], was: Qualified | None = WAS) -> list[str]:
    return [re.sub("<[^>]+>", "", sentence) for sentence in sentences(lead, clocks, WHEN, was)]


def test_a_qualified_lead_says_why_and_what_is_due_by_when() -> None:
    assert told({**LEAD, "below_threshold_at": "2026-12-10T12:00:00Z"}, CLOCK) == [
        "Mary is marketing qualified (MQL) since Thu 26 Nov 10:00, because engagement of 62 with fit grade A met the "
        "agreed line, engagement at least 40. Most of it came from demo (+60) and page view (+2).",
        "Due in 1 h 30 min: ada@sales.example is to accept, reject or recycle this lead by 17:30.",
        "If nothing more happens, decay takes its score below the line on Thu 10 Dec 13:00 (in 12 d 21 h).",
    ]


def test_the_most_urgent_comes_first_and_what_is_over_is_not_due() -> None:
    later = {**CLOCK, "deadline": "2026-11-30T09:00:00Z", "stops": ["contacted"], "owner": None, "rule": "contact"}
    late = {**CLOCK, "state": "breached", "deadline": "2026-11-27T14:00:00Z", "rule": "decide"}
    said = told(LEAD, later, {**CLOCK, "state": "met"}, late)[1:]
    assert said[0].startswith("Overdue: ada@sales.example was to accept, reject or recycle this lead by 15:00, 1 h ago")
    assert said[1] == "Due in 2 d 18 h: somebody (nobody owns this lead) is to contact this lead by Mon 30 Nov 10:00."
    assert len(said) == 2


def test_a_lead_that_qualified_under_another_version_names_it_and_not_the_words_of_today() -> None:
    first = told({**LEAD, "accord": 2})[0]
    assert "met the agreed line, as it was in version 1 of the accord. Most of it" in first


def test_a_promise_that_passed_to_another_owner_is_due_from_that_one_alone() -> None:
    broken = {**CLOCK, "state": "breached", "deadline": "2026-11-27T10:00:00Z"}
    again = {**CLOCK, "owner": "grace@sales.example", "started_at": "2026-11-27T10:00:00Z"}
    assert [sentence[:35] for sentence in told(LEAD, again, broken)[1:]] == ["Due in 1 h 30 min: grace@sales.exam"]


def test_what_was_broken_before_the_lead_left_the_line_is_due_no_more() -> None:
    left = {**CLOCK, "state": "breached", "closed_at": "2026-11-27T11:00:00Z"}
    assert told({**LEAD, "stage": "recycled"}, left)[1:] == ["Nothing is due."]


def test_a_lead_that_is_not_qualified_says_what_is_missing() -> None:
    lead = {**LEAD, "stage": "lead", "stage_entered_at": None, "mql": {**LEAD["mql"], "holds": False}}
    assert told(lead, was=None) == [
        "Mary is not qualified: engagement of 55.2 with fit grade A does not meet the agreed line, "
        "engagement at least 40.",
        "Nothing is due: promises begin when a lead is qualified.",
    ]
    assert "is not handed to sales yet, although" in told({**lead, "mql": LEAD["mql"]}, was=None)[0]


def test_a_lead_that_sales_took_up_by_itself_says_so() -> None:
    first = told({**LEAD, "stage": "sql"}, was=None)[0]
    assert "Sales took this lead up before its score reached the agreed line" in first


def test_a_score_that_fell_below_the_line_takes_no_lead_back() -> None:
    lead = {**LEAD, "stage": "sal", "mql": {**LEAD["mql"], "holds": False}}
    assert told(lead)[1:] == [
        "Nothing is due now.",
        "Its score, 55.2 by now, is below the line; that takes no lead back from sales.",
    ]


@pytest.mark.parametrize("stage", ["sal", "sql", "opportunity", "customer", "recycled", "disqualified"])
def test_every_stage_says_since_when_and_when_it_qualified(stage: str) -> None:
    assert re.match(
        r"Mary is .+ since Thu 26 Nov 10:00\. It qualified on Thu 26 Nov 10:00, because",
        told({**LEAD, "stage": stage})[0],
    )


def test_a_snoozed_clock_says_until_when() -> None:
    snoozed = {**CLOCK, "state": "paused", "paused_until": "2026-11-28T09:00:00Z"}
    assert told(LEAD, snoozed)[1].endswith("by 17:30. It is snoozed until Sat 28 Nov 10:00.")


def test_names_and_owners_are_text_whatever_is_in_them() -> None:
    evil = "<img src=x onerror=alert(1)>"
    lead = {**LEAD, "profile": {"name": evil}, "mql": {**LEAD["mql"], "words": evil}}
    for sentence in sentences(lead, [{**CLOCK, "owner": evil}], WHEN, WAS._replace(reasons=[(evil, 1.0)])):
        assert "<img" not in sentence


def test_reasons_are_the_rules_that_gave_most() -> None:
    grants = [
        {"rule": rule, "points": points, "worth": float(points), "withheld": 0, "why": None}
        for rule, points in (("page-view", 1), ("demo", 60), ("left", -5), ("white_paper", 5), ("webinar", 12))
    ]
    explanation = {"grants": grants, "adjustments": [], "engagement": 73.0, "grade": "B", "accord": 2}
    was = qualified("2026-11-26T09:00:00Z", explanation, waterfall(explanation, ()))
    assert was.reasons == [("demo", 60.0), ("webinar", 12.0), ("white paper", 5.0)]


def test_what_stops_a_clock_is_said_as_something_to_do() -> None:
    assert to_do(["contacted"]) == "contact"
    assert to_do(["opportunity.opened", "disqualified"]) == "open an opportunity for or disqualify"
