"""What the api works out itself."""

from datetime import UTC, datetime, timedelta
from uuid import uuid5

import pytest
from builders import NAMES, NOON
from hypothesis import given
from hypothesis import strategies as st

from services.api.model import (
    GrantRow,
    Moment,
    action_faults,
    clock_at,
    engagement_by_day,
    explain,
    profile_at,
    rule_totals,
    totals_at,
)
from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.decay import RuleTotal, below_threshold_at
from shared.agreement.loading import default_accord_text, load_accord
from shared.events.base import LeadSnapshot
from shared.events.sales import Action


@pytest.fixture(scope="module")
def accord() -> CompiledAccord:
    return compile_accord(load_accord(default_accord_text()), 1)


def a_grant(rule: str, points: int, occurred_at: datetime = NOON, received_at: datetime | None = None) -> GrantRow:
    event_id = uuid5(NAMES, f"{rule}/{occurred_at}")
    return GrantRow(event_id, "any.activity", rule, points, 0, None, occurred_at, received_at or occurred_at)


def test_a_grant_is_worth_half_after_its_half_life(accord: CompiledAccord) -> None:
    found = explain([a_grant("demo", 60)], accord, Moment(NOON + timedelta(days=14)))
    assert found.engagement == pytest.approx(30, abs=1e-9)
    assert found.adjustments == ()


@given(points=st.lists(st.sampled_from([("demo", 60), ("unsubscribed", -30), ("survey", 15)]), max_size=12))
def test_worths_and_adjustments_add_up_to_the_engagement(accord: CompiledAccord, points: list[tuple[str, int]]) -> None:
    grants = [a_grant(rule, p, NOON + timedelta(hours=i)) for i, (rule, p) in enumerate(points)]
    found = explain(grants, accord, Moment(NOON + timedelta(days=3)))
    total = sum(worth for _, worth in found.grants) + sum(adjusted for _, adjusted in found.adjustments)
    assert total == pytest.approx(found.engagement, abs=1e-9)
    assert 0 <= found.engagement <= 200


def test_the_cap_and_the_floor_appear_as_adjustments(accord: CompiledAccord) -> None:
    capped = explain(
        [a_grant("demo", 60, NOON + timedelta(seconds=i)) for i in range(5)],
        accord,
        Moment(NOON + timedelta(minutes=1)),
    )
    assert capped.engagement == 200
    assert [kind for kind, _ in capped.adjustments] == ["cap"]
    floored = explain([a_grant("unsubscribed", -30)], accord, Moment(NOON))
    assert (floored.engagement, floored.adjustments) == (0.0, (("floor", 30.0),))


def test_from_the_totals_at_a_time_follows_when_decay_takes_the_lead_below_the_threshold(
    accord: CompiledAccord,
) -> None:
    grants = [a_grant("demo", 60), a_grant("demo", 60, NOON - timedelta(days=14)), a_grant("survey", 15)]
    totals = totals_at(explain(grants, accord, Moment(NOON)), NOON)
    assert totals == {"demo": RuleTotal(90, NOON, 2), "survey": RuleTotal(15, NOON, 1)}
    lead = LeadSnapshot(email="ada@acme.example")
    facts = accord.facts(engagement=105, fit=0, grade="D", stage="mql", owner=None, lead=lead)
    below_at = below_threshold_at(totals, accord, facts, NOON)
    assert below_at is not None
    assert explain(grants, accord, Moment(below_at)).engagement == pytest.approx(70, abs=1e-3)


def test_what_arrived_later_counts_only_when_asked_for(accord: CompiledAccord) -> None:
    late = a_grant("demo", 60, NOON, received_at=NOON + timedelta(days=1))
    assert explain([late], accord, Moment(NOON)).grants == ()
    assert len(explain([late], accord, Moment(NOON, knows_later=True)).grants) == 1


def test_the_latest_value_of_a_field_wins_and_null_removes_it() -> None:
    later = NOON + timedelta(hours=1)
    updates: list[tuple[datetime, datetime, dict[str, str | None]]] = [
        (later, later, {"title": "CTO", "company": "Acme"}),
        (NOON, later, {"title": "Student", "country": "NO"}),
        (later, later, {"company": None}),
    ]
    assert profile_at(updates, Moment(later)) == {"title": "CTO", "country": "NO"}
    assert profile_at(updates, Moment(NOON, knows_later=True)) == {"title": "Student", "country": "NO"}
    assert profile_at(updates, Moment(NOON)) == {}


def test_a_clock_is_open_until_its_breach_was_announced() -> None:
    deadline, announced = NOON + timedelta(hours=1), NOON + timedelta(hours=1, seconds=2)
    clock = {
        "state": "breached",
        "started_at": NOON,
        "breached_at": deadline,
        "announced_at": announced,
        "met_at": None,
        "resolved_at": None,
        "voided_at": None,
        "closed_at": None,
        "pauses": [],
    }
    before = clock_at(clock, deadline)
    assert before is not None
    assert (before["state"], before["breached_at"]) == ("open", None)
    after = clock_at(clock, announced)
    assert after is not None
    assert (after["state"], after["breached_at"]) == ("breached", deadline)
    assert clock_at(clock, NOON - timedelta(seconds=1)) is None


@pytest.mark.parametrize(("hours", "state"), [(0, "open"), (1, "paused"), (2, "open"), (3, "cancelled")])
def test_a_clock_of_the_past_stood_still_while_its_lead_was_snoozed_and_was_cancelled_at_its_end(
    hours: int, state: str
) -> None:
    pause = [(NOON + timedelta(hours=hour)).isoformat() for hour in (1, 2)]
    nothing = dict.fromkeys(("met_at", "breached_at", "announced_at", "resolved_at", "voided_at"))
    end = {"state": "cancelled", "closed_at": NOON + timedelta(hours=3)}
    then = clock_at({"started_at": NOON, "pauses": [pause], **nothing, **end}, NOON + timedelta(hours=hours))
    assert then is not None
    assert then["state"] == state


def test_a_rejection_without_an_agreed_reason_is_refused_with_the_list(accord: CompiledAccord) -> None:
    for reason in (None, "bored"):
        faults = action_faults(Action.REJECTED, accord, reason=reason, until=None, occurred_at=NOON, note=None)
        assert [fault.path for fault in faults] == ["reason"]
        assert "no_budget" in faults[0].message
    assert not action_faults(Action.REJECTED, accord, reason="no_budget", until=None, occurred_at=NOON, note=None)


def test_every_fault_of_an_action_is_named_at_once(accord: CompiledAccord) -> None:
    ancient = datetime(1999, 12, 31, tzinfo=UTC)
    faults = action_faults(Action.SNOOZED, accord, reason=None, until=None, occurred_at=ancient, note=None)
    assert [fault.path for fault in faults] == ["until", "occurred_at"]


def test_rule_totals_are_read_as_scoring_writes_them() -> None:
    totals = rule_totals({"demo": [12.5, "2026-03-02T12:00:00.123456Z", 2]})
    assert totals["demo"] == RuleTotal(12.5, NOON, 2)


def test_the_engagement_of_each_day_follows_from_what_its_grants_were_worth_at_its_end() -> None:
    never, day = None, 86_400.0
    worths = [(day, 2, 40.0), (day, 0, 1.0), (never, 1, -15.0)]
    assert engagement_by_day(worths, 2, None) == [40.0, 5.0, 0.0]
    assert engagement_by_day(worths[:2], 2, 30) == [30.0, 20.0, 11.0]
    assert engagement_by_day([], 1, 100) == [0.0, 0.0]
    assert engagement_by_day([(1.0, 1, 60.0)], 1, None) == [60.0, 0.0]
