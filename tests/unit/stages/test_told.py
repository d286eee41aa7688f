"""What is told of a decision, field by field: each has a value that no other field has."""

from datetime import timedelta
from uuid import UUID

import pytest
from line_builders import ADA, START, after, example_accord, sales_action

from services.stages.model import Score, Stamp, State
from services.stages.model import told as tell
from shared.events.base import LeadSnapshot, Reason
from shared.events.lifecycle import (
    AssignmentReason,
    ClockPreview,
    IgnoredReason,
    LeadAssigned,
    LeadQualified,
    PassedOver,
    PassedOverReason,
    SalesRecorded,
    Stage,
    StageChanged,
    TransitionReason,
)

ACCORD = example_accord()
LEAD = LeadSnapshot("ada@maker.example", {"employees": 5000}, "web", "autumn", "fair", "marketing")
STATE = State(
    lead_id=ADA,
    stage=Stage.MQL,
    version=3,
    number=11,
    accord=7,
    owner="ada@sales.example",
    team="enterprise",
    engagement=61.5,
    fit=42,
    grade="B",
    lead=LEAD,
)
PASSED = (PassedOver("bob@sales.example", PassedOverReason.PAUSED),)
AT = after(minutes=5)
ACTION = sales_action(
    "opportunity.opened",
    START,
    reason="asked for it",
    channel="call",
    until=after(hours=9),
    amount=1200.0,
    currency="EUR",
    note="budget in spring",
)


@pytest.mark.parametrize(
    ("stage", "reason", "has_action", "expected"),
    [
        (Stage.SQL, TransitionReason.SALES, True, ("asked for it", "opportunity.opened", None, None)),
        (Stage.OPPORTUNITY, TransitionReason.SALES, True, ("asked for it", "opportunity.opened", 1200.0, "EUR")),
        (Stage.CUSTOMER, TransitionReason.SALES, True, ("asked for it", "opportunity.opened", 1200.0, "EUR")),
        (Stage.SQL, TransitionReason.IMPLIED, True, ("implied by a later step", "qualified", None, None)),
        (
            Stage.OPPORTUNITY,
            TransitionReason.IMPLIED,
            True,
            ("implied by a later step", "opportunity.opened", 1200, "EUR"),
        ),
        (Stage.MQL, TransitionReason.SCORE, False, ("score qualifies", None, None, None)),
        (Stage.OPPORTUNITY, TransitionReason.SCORE, False, ("score qualifies", None, None, None)),
    ],
)
def test_a_transition(
    stage: Stage, reason: TransitionReason, has_action: bool, expected: tuple[str, str | None, float | None, str | None]
) -> None:
    words, action, amount, currency = expected
    now = STATE._replace(stage=stage, version=4)
    assert tell.changed(STATE, now, at=AT, action=ACTION if has_action else None, reason=reason) == StageChanged(
        lead_id=ADA,
        version=4,
        from_stage=Stage.MQL,
        to_stage=stage,
        entry=4,
        reason=words,
        why=reason,
        action=action,  # type: ignore[arg-type]  # an action is its text
        implied=reason is TransitionReason.IMPLIED,
        engagement=61.5,
        fit=42,
        grade="B",
        owner="ada@sales.example",
        team="enterprise",
        amount=amount,
        currency=currency,
        occurred_at=AT,
        historical=False,
        lead=LEAD,
    )


def test_a_transition_without_a_reason_of_sales_says_what_made_it() -> None:
    action = sales_action("qualified", START)
    told = tell.changed(STATE, STATE, at=AT, action=action, reason=TransitionReason.SALES)
    assert (told.reason, told.why) == ("sales action", TransitionReason.SALES)


def test_an_assignment() -> None:
    stamp = Stamp("eve@sales.example", "mid", AssignmentReason.RULE, 12, ("eve@sales.example", "bob"), PASSED)
    before = STATE._replace(owner="zoe@sales.example", version=2)
    assert tell.assigned(before, STATE, stamp, AT) == LeadAssigned(
        lead_id=ADA,
        version=3,
        owner="eve@sales.example",
        team="mid",
        why=AssignmentReason.RULE,
        previous_owner="zoe@sales.example",
        turn=12,
        candidates=("eve@sales.example", "bob"),
        passed_over=PASSED,
        occurred_at=AT,
        lead=LEAD,
    )


@pytest.mark.parametrize("is_historical", [False, True])
def test_a_qualified_lead(is_historical: bool) -> None:
    reasons = (Reason("demo requested", 60.0),)
    score = Score(
        engagement=1.0, fit=2, grade="C", reasons=reasons, lead=LeadSnapshot("another"), historical=is_historical
    )
    facts = {"grade": "A", "stage": "mql"}
    told = tell.qualified(STATE, score, AT, ACCORD, facts)
    clocks = () if is_historical else told.clocks
    assert told == LeadQualified(
        lead_id=ADA,
        version=3,
        engagement=61.5,
        fit=42,
        grade="B",
        reasons=reasons,
        owner="ada@sales.example",
        team="enterprise",
        due=clocks[0] if clocks else None,
        clocks=clocks,
        accord=ACCORD.version,
        occurred_at=AT,
        lead=LEAD,
    )
    assert bool(told.clocks) is not is_historical


def test_its_clocks_in_the_order_of_their_deadlines() -> None:
    score = Score(engagement=1.0, fit=2, grade="C", lead=LEAD)
    told = tell.qualified(STATE, score, AT, ACCORD, {"grade": "A", "stage": "mql"})
    for clock in told.clocks:
        rule = ACCORD.clock_rule(clock.rule)
        is_plain = rule.hours == "always"
        deadline = AT + rule.within if is_plain else ACCORD.calendar.deadline(AT, rule.within)
        within = rule.within / timedelta(seconds=1)
        assert clock == ClockPreview(rule.id, deadline, rule.hours, within, rule.stops)
    assert [clock.deadline for clock in told.clocks] == sorted(clock.deadline for clock in told.clocks)


@pytest.mark.parametrize("ignored", [None, IgnoredReason.OVERTAKEN])
def test_what_was_recorded(ignored: IgnoredReason | None) -> None:
    assert tell.recorded(STATE, ACTION, AT, ignored, passed_over=PASSED) == SalesRecorded(
        lead_id=ADA,
        version=3,
        action_id=ACTION.id,
        action=ACTION.action,
        stage=Stage.MQL,
        entry=3,
        ignored=ignored,
        reason="asked for it",
        channel="call",
        until=after(hours=9),
        amount=1200.0,
        currency="EUR",
        note="budget in spring",
        actor="rep",
        owner="ada@sales.example",
        passed_over=PASSED,
        occurred_at=AT,
        lead=LEAD,
    )
    assert isinstance(ACTION.id, UUID)
