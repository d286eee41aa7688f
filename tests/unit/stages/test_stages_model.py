"""Qualifying, cooling down, guards, times and owners, one lead at a time."""

from datetime import datetime
from typing import Any
from uuid import uuid5

from line_builders import ADA, START, accords_of, after, example_accord, lead, sales_action

from services.stages.model import Decision, HistoryRow, Routing, Score, State, Sticky, Told, apply, fold, told_id
from shared.agreement.compiled import CompiledAccord
from shared.events.base import LeadSnapshot, Reason
from shared.events.lifecycle import (
    AssignmentReason,
    IgnoredReason,
    LeadAssigned,
    LeadQualified,
    PassedOver,
    PassedOverReason,
    SalesRecorded,
    Stage,
    StageChanged,
)
from shared.events.sales import SalesAction

ACCORD = example_accord()


def score(engagement: float, *, grade: str = "A", activity: str | None = "demo.requested", **about: Any) -> Score:
    known = LeadSnapshot(**{"email": "ada@maker.example", "profile": {"employees": 5000}, "source": "web", **about})
    reasons = (Reason("demo requested", 60.0),)
    return Score(engagement=engagement, fit=60, grade=grade, activity=activity, reasons=reasons, lead=known)


def applied(
    state: State,
    item: Score | SalesAction,
    at: datetime,
    *,
    routing: Routing | None = None,
    accord: CompiledAccord = ACCORD,
) -> Decision:
    return apply(state, item, received_at=at, accord=accord, routing=routing or Routing())


def qualified_lead(at: datetime = START, routing: Routing | None = None) -> Decision:
    return applied(State(ADA), score(60), at, routing=routing)


def test_a_qualification_is_told_as_transition_then_owner_then_everything_in_one() -> None:
    decision = qualified_lead()
    changed, assigned, qualified = decision.payloads
    assert isinstance(changed, StageChanged)
    assert isinstance(assigned, LeadAssigned)
    assert isinstance(qualified, LeadQualified)
    assert (changed.from_stage, changed.to_stage, changed.version, changed.implied) == ("lead", "mql", 1, False)
    assert (assigned.owner, assigned.why, assigned.turn) == (changed.owner, AssignmentReason.RULE, 0)
    assert assigned.candidates == ("ada@sales.example", "grace@sales.example")
    assert (qualified.owner, qualified.team) == (assigned.owner, "enterprise")
    assert qualified.reasons[0].words == "demo requested"
    assert qualified.lead.email == "ada@maker.example"


def test_the_clock_that_runs_out_first_is_told_with_the_qualification() -> None:
    qualified = qualified_lead().payloads[-1]
    assert isinstance(qualified, LeadQualified)
    assert qualified.due is not None
    assert (qualified.due.rule, qualified.due.deadline) == ("first-contact-hot", after(hours=1))


def test_a_score_below_the_threshold_changes_nothing_but_what_is_known() -> None:
    decision = applied(State(ADA), score(12), after())
    assert decision.payloads == ()
    assert (decision.state.stage, decision.state.engagement, decision.state.number) == (Stage.LEAD, 12, 1)


def test_a_lead_that_is_qualified_already_is_not_qualified_again() -> None:
    assert applied(qualified_lead().state, score(90), after(hours=1)).payloads == ()


def test_a_recycled_lead_cools_down_and_then_an_activity_brings_it_back() -> None:
    recycled = applied(qualified_lead().state, sales_action("recycled", after(days=1)), after(days=1)).state
    assert applied(recycled, score(90), after(days=30)).payloads == ()
    assert applied(recycled, score(90, activity=None), after(days=40)).payloads == ()
    changed, assigned, _ = applied(recycled, score(90), after(days=31)).payloads
    assert isinstance(changed, StageChanged)
    assert isinstance(assigned, LeadAssigned)
    assert (changed.from_stage, changed.to_stage) == ("recycled", "mql")
    assert (assigned.owner, assigned.why) == (recycled.owner, AssignmentReason.STICKY)


def test_a_guarded_action_is_overtaken_when_the_lead_moved_on_or_changed_hands() -> None:
    state = qualified_lead().state
    guards: list[dict[str, Any]] = [{"if_stage_version": 0}, {"if_owner": "somebody@sales.example"}]
    for guard in guards:
        decision = applied(state, sales_action("recycled", after(hours=1), **guard), after(hours=1))
        assert decision.ignored is IgnoredReason.OVERTAKEN
        assert decision.state.stage is Stage.MQL
    fits: dict[str, Any] = {"if_stage_version": state.version, "if_owner": state.owner}
    assert applied(state, sales_action("recycled", after(hours=1), **fits), after(hours=1)).ignored is None


def test_a_transition_by_sales_has_the_time_of_the_action_but_never_a_later_one_than_its_receipt() -> None:
    state = qualified_lead().state
    for occurred, expected in ((after(hours=2), after(hours=2)), (after(hours=9), after(hours=3))):
        action = sales_action("accepted", occurred, received_at=after(hours=3))
        (changed,) = applied(state, action, after(hours=3)).payloads
        assert changed.occurred_at == expected


def test_a_transition_is_never_earlier_than_the_one_before() -> None:
    state = qualified_lead(after(hours=5)).state
    (changed,) = applied(
        state, sales_action("accepted", after(hours=1), received_at=after(hours=6)), after(hours=6)
    ).payloads
    assert changed.occurred_at == after(hours=5)


def test_a_creation_is_no_transition_so_an_action_may_have_occurred_before_it() -> None:
    known = applied(State(ADA), score(1), after(hours=5)).state
    action = sales_action("disqualified", after(hours=1), received_at=after(hours=6))
    (changed,) = applied(known, action, after(hours=6)).payloads
    assert changed.occurred_at == after(hours=1)


def test_a_touch_keeps_its_own_time_because_it_may_meet_a_clock() -> None:
    state = qualified_lead(after(hours=5)).state
    (touch,) = applied(
        state, sales_action("contacted", after(hours=1), received_at=after(hours=6)), after(hours=6)
    ).payloads
    assert isinstance(touch, SalesRecorded)
    assert touch.occurred_at == after(hours=1)


def test_until_the_first_score_a_lead_is_what_the_action_says_of_it() -> None:
    decision = applied(State(ADA), sales_action("disqualified", after()), after())
    (changed,) = decision.payloads
    assert isinstance(changed, StageChanged)
    assert (changed.lead.email, changed.lead.profile) == ("ada@maker.example", {})
    assert (changed.engagement, changed.fit, changed.grade) == (0, 0, "D")


def test_after_its_first_score_a_lead_is_what_scoring_says_whatever_an_action_names() -> None:
    scored = applied(State(ADA), score(12, email="ada@maker.example"), after()).state
    action = sales_action("disqualified", after(hours=1), identifiers={"email": "other@maker.example"})
    decision = applied(scored, action, after(hours=1))
    assert decision.state.lead == scored.lead
    assert (decision.state.engagement, decision.state.grade, decision.state.is_scored) == (12, "A", True)


def test_a_lead_was_created_by_its_first_event_and_updated_by_its_last() -> None:
    state = State(ADA)
    items: list[Score | SalesAction] = [score(1), sales_action("note", after(hours=1), note="a"), score(2), score(60)]
    for hours, item in enumerate(items):
        state = applied(state, item, after(hours=hours)).state
        assert (state.created_at, state.updated_at, state.number) == (after(), after(hours=hours), hours + 1)
    by_action = applied(State(ADA), sales_action("note", after(), note="a"), after(hours=2)).state
    assert (by_action.created_at, by_action.is_scored) == (after(hours=2), False)


def test_owners_take_turns_in_proportion_to_their_weight() -> None:
    routing, owners = Routing(), []
    for n in range(30):
        decision = applied(State(lead(n)), score(60, email=f"x@company{n}.example"), after(), routing=routing)
        routing = decision.routing
        owners.append(decision.state.owner)
    assert owners.count("ada@sales.example") == 20
    assert all(owners[n : n + 3].count("grace@sales.example") == 1 for n in range(0, 30, 3))


def test_colleagues_get_the_owner_of_their_company_but_free_mail_is_no_company() -> None:
    routing = Routing({}, {"maker.example": Sticky("grace@sales.example", "enterprise")})
    stamp = qualified_lead(routing=routing).stamp
    assert stamp is not None
    assert (stamp.owner, stamp.why, stamp.turn) == ("grace@sales.example", AssignmentReason.STICKY, None)
    free = applied(State(ADA), score(60, email="a@gmail.com"), after())
    assert free.routing.sticky == {}
    assert qualified_lead().routing.sticky == {"maker.example": Sticky("ada@sales.example", "enterprise")}


def test_a_reassignment_gives_the_next_owner_who_is_not_the_present_one() -> None:
    state, routing = qualified_lead().state, Routing({"enterprise": 2})
    assert ACCORD.owner_for_turn("enterprise", 2) == state.owner
    decision = applied(state, sales_action("assigned", after(hours=1)), after(hours=1), routing=routing)
    (assigned,) = decision.payloads
    assert isinstance(assigned, LeadAssigned)
    assert (assigned.owner, assigned.why) == ("grace@sales.example", AssignmentReason.REASSIGNED)
    assert assigned.passed_over == (PassedOver("ada@sales.example", PassedOverReason.PRESENT_OWNER),)
    assert assigned.previous_owner == "ada@sales.example"


def test_a_hand_over_is_told_with_its_reason_and_takes_no_turn() -> None:
    state = qualified_lead().state
    decision = applied(state, sales_action("assigned", after(hours=1), owner="boss@sales.example"), after(hours=1))
    (assigned,) = decision.payloads
    assert isinstance(assigned, LeadAssigned)
    assert (assigned.owner, assigned.why, assigned.turn) == ("boss@sales.example", AssignmentReason.HANDED_OVER, None)
    assert decision.routing.turns == {}


def test_what_was_handed_over_by_hand_is_no_more_so_after_a_reassignment() -> None:
    handed = sales_action("assigned", after(hours=1), owner="boss@sales.example")
    state = applied(qualified_lead().state, handed, after(hours=1)).state
    assert state.is_handed_over
    state = applied(state, sales_action("assigned", after(hours=2)), after(hours=2)).state
    assert not state.is_handed_over


def test_the_fold_of_a_history_needs_no_rows_but_its_stamps() -> None:
    items: list[tuple[Score | SalesAction, datetime]] = [
        (score(10), after()),
        (score(60), after(hours=1)),
        (sales_action("assigned", after(hours=2)), after(hours=2)),
        (sales_action("won", after(hours=3), amount=10.0), after(hours=3)),
    ]
    state, routing, history = State(ADA), Routing({"enterprise": 7}), []
    told: list[Told] = []
    for item, at in items:
        decision = applied(state, item, at, routing=routing)
        state, routing = decision.state, decision.routing
        history.append(HistoryRow(item, at, decision.stamp))
        told += decision.payloads
    refolded = list(fold(ADA, history, accords_of(ACCORD)))
    assert refolded[-1].state == state
    assert [payload for decision in refolded for payload in decision.payloads] == told


def test_ids_derive_from_the_cause_and_the_type_and_an_implied_transition_s_from_its_stage_too() -> None:
    cause = lead("cause")
    qualified = applied(State(ADA), score(60), START).payloads
    skipping = applied(State(ADA), sales_action("qualified", START), START).payloads
    assert [(told_id(cause, told), told.TYPE) for told in qualified] == [
        (uuid5(cause, told.TYPE), told.TYPE) for told in qualified
    ]
    changes = [told for told in skipping if isinstance(told, StageChanged)]
    assert [(told.to_stage, told_id(cause, told)) for told in changes] == [
        ("mql", uuid5(cause, "accord.stage.changed/mql")),
        ("sal", uuid5(cause, "accord.stage.changed/sal")),
        ("sql", uuid5(cause, "accord.stage.changed")),
    ]
