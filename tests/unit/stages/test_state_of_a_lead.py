"""What is kept of a lead from one event to the next, and on what its conditions are asked."""

import json
from datetime import timedelta
from typing import Any

import pytest
from agreement_builders import MINIMAL
from line_builders import ADA, START, after, sales_action

from services.stages.model import Absence, Routing, Score, State, apply
from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import load_accord
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import Stage, StageChanged

LEAD = LeadSnapshot("ada@maker.example", source="web")


def accord(mql: dict[str, Any], **parts: Any) -> CompiledAccord:
    document = load_accord(MINIMAL).as_written()
    document["scoring"] |= {"fit": {"rules": [], "grades": {"A": 50, "B": 30, "C": 1}}}
    stages = {"mql": mql, "recycle": {"cool_down": "3d"}} | parts
    document |= {"stages": {name: part for name, part in stages.items() if part is not None}}
    teams = {"all": [{"owner": "ada"}, {"owner": "eve"}]}
    document |= {"routing": {"teams": teams, "rules": [{"team": "all"}], "sticky": "company_domain"}}
    return compile_accord(load_accord(json.dumps(document)), 7)


BUSY = accord({"engagement": {"gte": 40}})


def score(engagement: float = 60, fit: int = 5, **more: Any) -> Score:
    return Score(engagement=engagement, fit=fit, grade="C", activity="demo.requested", lead=LEAD, **more)


def stage_after(state: State, item: Any, agreed: CompiledAccord = BUSY, *, minutes: float = 0) -> Stage:
    return apply(state, item, received_at=after(minutes=minutes), accord=agreed, routing=Routing()).state.stage


STANDING = State(
    lead_id=ADA,
    stage=Stage.SAL,
    version=2,
    number=9,
    accord=3,
    created_at=after(minutes=-9),
    updated_at=after(minutes=-1),
    entered_at=after(minutes=-5),
    owner="ada",
    team="all",
    is_handed_over=True,
)


def test_a_score_changes_what_it_tells_and_leaves_the_rest() -> None:
    known = apply(STANDING, score(), received_at=START, accord=BUSY, routing=Routing()).state
    told: dict[str, Any] = {
        "number": 10,
        "accord": 7,
        "updated_at": START,
        "engagement": 60,
        "fit": 5,
        "grade": "C",
        "lead": LEAD,
    }
    assert known == STANDING._replace(**told, is_scored=True)


@pytest.mark.parametrize(
    ("mql", "is_met"),
    [
        ({"fit": {"gte": 40}}, False),
        ({"fit": 5}, True),
        ({"stage": "lead"}, True),
        ({"stage": "C"}, False),
        ({"owner": "eve"}, True),
        ({"owner": "all"}, False),
    ],
)
def test_conditions_are_asked_on_the_lead_as_it_stands(mql: dict[str, Any], is_met: bool) -> None:
    lead = State(ADA, owner="eve", team="all")
    assert (stage_after(lead, score(), accord(mql)) is Stage.MQL) is is_met


def test_only_a_new_lead_and_one_that_has_cooled_down_qualify() -> None:
    entered = START - timedelta(days=30)
    for stage in (Stage.MQL, Stage.SAL, Stage.DISQUALIFIED):
        assert stage_after(State(ADA, stage, 1, entered_at=entered), score()) is stage
    recycled = State(ADA, Stage.RECYCLED, 1, entered_at=START - timedelta(days=3), updated_at=entered)
    assert stage_after(recycled, score(), minutes=-1) is Stage.RECYCLED
    assert stage_after(recycled, score()) is Stage.MQL


def test_the_cool_down_is_counted_to_the_receipt_of_the_activity() -> None:
    recycled = State(ADA, Stage.RECYCLED, 1, entered_at=START - timedelta(days=3))
    assert stage_after(recycled, score(activity_received_at=after(minutes=-1))) is Stage.RECYCLED
    agreed = accord({"engagement": {"gte": 40}}, recycle=None)
    assert stage_after(recycled._replace(entered_at=START), score(), agreed) is Stage.MQL


def test_until_it_is_scored_an_action_tells_who_it_is() -> None:
    first = apply(State(ADA), sales_action("note", START), received_at=START, accord=BUSY, routing=Routing()).state
    assert (first.accord, first.grade, first.lead) == (7, "D", LeadSnapshot("ada@maker.example"))
    nameless = sales_action("note", START, identifiers={"crm": "77"})
    second = apply(first, nameless, received_at=START, accord=BUSY, routing=Routing()).state
    assert second.lead == first.lead


def test_an_action_that_skips_steps_takes_a_turn_and_says_whose() -> None:
    decision = apply(State(ADA), sales_action("qualified", START), received_at=START, accord=BUSY, routing=Routing())
    assert decision.stamp is not None
    assert (decision.stamp.owner, decision.stamp.turn, decision.routing.turns) == ("ada", 0, {"all": 1})


@pytest.mark.parametrize("is_historical", [False, True])
def test_what_a_historical_source_sends_makes_historical_transitions(is_historical: bool) -> None:
    for item in (score(historical=is_historical), sales_action("qualified", START, historical=is_historical)):
        told = apply(State(ADA), item, received_at=START, accord=BUSY, routing=Routing()).payloads
        assert {one.historical for one in told if isinstance(one, StageChanged)} == {is_historical}


@pytest.mark.parametrize("is_handed_over", [False, True])
def test_a_lead_that_comes_back_to_its_owner_is_handed_over_if_it_was(is_handed_over: bool) -> None:
    left = State(ADA, Stage.RECYCLED, 1, entered_at=START - timedelta(days=9), owner="eve", team="all")
    left = left._replace(is_handed_over=is_handed_over)
    kept = apply(left, score(), received_at=START, accord=BUSY, routing=Routing()).state
    assert (kept.owner, kept.is_handed_over) == ("eve", is_handed_over)
    away = Routing(absences={"eve": Absence(is_gone=True)})
    given = apply(left, score(), received_at=START, accord=BUSY, routing=away).state
    assert (given.owner, given.is_handed_over) == ("ada", False)


def test_nobody_is_nobody_s_sticky_owner() -> None:
    away = Routing(absences={name: Absence(is_gone=True) for name in ("ada", "eve")})
    known = Score(engagement=60, fit=5, grade="C", lead=LeadSnapshot("x@m.example", {"company_domain": "m.example"}))
    decision = apply(State(ADA), known, received_at=START, accord=BUSY, routing=away)
    assert (decision.state.owner, decision.routing.sticky, decision.given) == (None, {}, None)
