"""Who gets a lead: turns for any weights, who is passed over and why, and which rows that takes."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import gcd
from typing import Any

import pytest
from agreement_builders import MINIMAL
from hypothesis import given, settings
from hypothesis import strategies as st
from line_builders import ADA, after, lead, sales_action
from routing_builders import accord_with, assigned, qualify, qualify_all, team

from services.stages.model import (
    Absence,
    Decision,
    Load,
    Routing,
    Rows,
    State,
    Sticky,
    apply,
    rows_of,
    stamp_from_json,
    stamp_to_json,
)
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import load_accord
from shared.events.codec import encode
from shared.events.lifecycle import (
    AssignmentReason,
    IgnoredReason,
    PassedOver,
    PassedOverReason,
    SalesRecorded,
    Stage,
)

PAUSED, GONE = PassedOverReason.PAUSED, PassedOverReason.GONE
AT_CAPACITY, PRESENT = PassedOverReason.AT_CAPACITY, PassedOverReason.PRESENT_OWNER
WEIGHTS = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def slow_turns(weights: Sequence[int]) -> Iterator[int]:
    """Smooth weighted round robin as it is told, without periods or divisors."""
    balances = [0] * len(weights)
    while True:
        balances = [balance + weight for balance, weight in zip(balances, weights, strict=True)]
        best = balances.index(max(balances))
        balances[best] -= sum(weights)
        yield best


@given(WEIGHTS)
@settings(max_examples=60, deadline=None)
def test_owners_take_turns_as_smooth_weighted_round_robin_tells_it(weights: list[int]) -> None:
    accord = team(*(f"o{n}*{weight}" for n, weight in enumerate(weights)))
    period = sum(weights) // gcd(*weights)
    owners, _ = qualify_all(accord, 2 * period)
    slow = slow_turns(weights)
    assert owners == [f"o{next(slow)}" for _ in range(2 * period)]
    assert Counter(owners) == {f"o{n}": 2 * weight // gcd(*weights) for n, weight in enumerate(weights)}


@given(WEIGHTS, st.data())
@settings(max_examples=60, deadline=None)
def test_the_others_keep_their_proportions_while_some_are_passed_over(weights: list[int], data: st.DataObject) -> None:
    names = [f"o{n}" for n in range(len(weights))]
    accord = team(*(f"{name}*{weight}" for name, weight in zip(names, weights, strict=True)))
    away = data.draw(st.sets(st.sampled_from(names), max_size=len(names) - 1))
    share = {name: weight // gcd(*weights) for name, weight in zip(names, weights, strict=True)}
    present = {name: count for name, count in share.items() if name not in away}
    before = data.draw(st.integers(0, 2 * sum(share.values())))
    absences = dict.fromkeys(away, Absence())
    owners, routing = qualify_all(accord, sum(present.values()), Routing({"sales": before}, absences=absences))
    assert Counter(owners) == present
    # And once they are back, everybody has their share again: nobody lost it, nobody is flooded.
    again, _ = qualify_all(accord, sum(share.values()), routing._replace(absences={}), at=after(hours=1))
    assert Counter(again) == share


@given(WEIGHTS, st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_turn_of_somebody_who_can_t_be_asked_goes_by_and_the_stamp_says_whose_was_taken(
    weights: list[int], absent: list[set[int]]
) -> None:
    accord = team(*(f"o{n}*{weight}" for n, weight in enumerate(weights)))
    slow, turn, routing = slow_turns(weights), -1, Routing()
    for n, away in enumerate(absent):
        free = {*range(len(weights))} - away
        decision = qualify(accord, routing._replace(absences={f"o{gone}": Absence() for gone in away}), n)
        told = assigned(decision)
        routing = decision.routing
        assert {passed.owner for passed in told.passed_over} == {f"o{m}" for m in away if m < len(weights)}
        if not free:
            assert (told.owner, told.why, told.turn) == (None, AssignmentReason.UNASSIGNED, None)
            continue
        while (owner := next(slow)) not in free:
            turn += 1
        turn += 1
        assert (told.owner, told.turn, told.why) == (f"o{owner}", turn, AssignmentReason.RULE)
        assert accord.owner_for_turn("sales", turn) == told.owner


def test_a_pause_ends_at_its_time() -> None:
    accord, until = team("ada", "grace"), after(hours=1)
    routing = Routing(absences={"ada": Absence(until=until)})
    assert assigned(qualify(accord, routing, 1, at=after(minutes=59))).passed_over == (PassedOver("ada", PAUSED),)
    assert assigned(qualify(accord, routing, 1, at=until)).owner == "ada"


def test_an_owner_takes_their_capacity_a_day_and_the_day_is_the_accord_s() -> None:
    accord = team("ada:2")  # Europe/Oslo, an hour ahead of UTC in November
    late, midnight = datetime(2026, 11, 23, 22, 59, 59, tzinfo=UTC), datetime(2026, 11, 23, 23, tzinfo=UTC)
    owners, routing = qualify_all(accord, 3, at=late)
    assert owners == ["ada", "ada", None]
    assert routing.loads == {Load("ada", late.date()): 2}
    refused = qualify(accord, routing, "late", at=late)
    assert assigned(refused).passed_over == (PassedOver("ada", AT_CAPACITY),)
    assert qualify(accord, routing, "early", at=midnight).state.owner == "ada"


def test_who_has_the_lead_or_its_company_is_passed_over_when_they_can_t_be_asked() -> None:
    accord = team("ada", "grace", "linus", sticky="company_domain")
    held = State(lead("x"), stage=Stage.LEAD, owner="ada", team="sales", is_handed_over=True)
    rows = Routing(
        {}, {"one.example": Sticky("grace", "sales")}, {}, {"ada": Absence(), "grace": Absence(is_gone=True)}
    )
    decision = qualify(accord, rows, "x", state=held, company="one.example")
    told = assigned(decision)
    assert (told.owner, told.why, told.previous_owner) == ("linus", AssignmentReason.RULE, "ada")
    assert told.passed_over == (PassedOver("ada", PAUSED), PassedOver("grace", GONE))
    # The company is linus' from now on, and the lead was not handed to him by people.
    assert decision.routing.sticky["one.example"] == Sticky("linus", "sales")
    assert not decision.state.is_handed_over


def test_whom_no_team_has_any_more_is_gone_unless_people_handed_them_the_lead() -> None:
    accord = team("grace", sticky="company_domain")
    for is_handed_over, owner in ((True, "boss"), (False, "grace")):
        held = State(lead("x"), owner="boss", team="sales", is_handed_over=is_handed_over)
        assert qualify(accord, Routing(), "x", state=held).state.owner == owner
    rows = Routing(sticky={"one.example": Sticky("boss", "sales")})
    told = assigned(qualify(accord, rows, "x", company="one.example"))
    assert (told.owner, told.passed_over) == ("grace", (PassedOver("boss", GONE),))


def test_a_lead_that_is_kept_is_of_a_team_that_has_its_owner_or_else_of_the_one_it_was_or_its_rule_s() -> None:
    teams = {"a": [{"owner": "ada"}], "b": [{"owner": "ada"}, {"owner": "grace"}]}
    accord = accord_with({"teams": teams, "rules": [{"team": "a"}]})
    for owner, before, after_ in (
        ("ada", "b", "b"),
        ("grace", "a", "b"),
        ("grace", None, "b"),
        ("boss", "b", "b"),
        ("boss", None, "a"),
    ):
        held = State(lead("x"), owner=owner, team=before, is_handed_over=True)
        decision = qualify(accord, Routing(), "x", state=held)
        assert (decision.state.owner, decision.state.team) == (owner, after_)
        assert decision.state.is_handed_over


def test_a_hand_over_passes_nobody_over_counts_as_a_lead_and_takes_the_new_owner_s_team() -> None:
    routing = {
        "teams": {"a": [{"owner": "ada"}], "b": [{"owner": "grace", "capacity": "1/d"}]},
        "rules": [{"team": "a"}],
    }
    accord = accord_with(routing)
    rows = Routing(absences={"grace": Absence()})
    state = qualify(accord, rows, "x").state
    action = sales_action("assigned", after(hours=1), lead_id=state.lead_id, owner="grace")
    decision = apply(state, action, received_at=after(hours=1), accord=accord, routing=rows)
    assert (decision.state.owner, decision.state.team, decision.state.is_handed_over) == ("grace", "b", True)
    assert decision.given == Load("grace", after().date())
    # The same once more is told, and no lead more.
    again = apply(decision.state, action, received_at=after(hours=2), accord=accord, routing=decision.routing)
    assert (again.given, assigned(again).why) == (None, AssignmentReason.HANDED_OVER)
    outsider = sales_action("assigned", after(hours=1), lead_id=state.lead_id, owner="boss")
    assert apply(state, outsider, received_at=after(hours=1), accord=accord, routing=rows).state.team == "a"


@pytest.mark.parametrize("guard", [{}, {"if_stage_version": 1, "if_owner": "ada"}])
def test_a_reassign_finds_another_active_owner_or_says_that_there_is_none(guard: dict[str, Any]) -> None:
    accord = team("ada", "grace", "linus:1")
    state = qualify(accord, Routing(), "x").state
    action = sales_action("assigned", after(hours=1), lead_id=state.lead_id, **guard)

    def reassigned(absences: Mapping[str, Absence], loads: Mapping[Load, int] = {}) -> Decision:
        rows = Routing({"sales": 1}, {}, loads, absences)
        return apply(state, action, received_at=after(hours=1), accord=accord, routing=rows)

    told = assigned(reassigned({"grace": Absence()}))
    assert (told.owner, told.why, told.turn) == ("linus", AssignmentReason.REASSIGNED, 2)
    assert told.passed_over == (PassedOver("ada", PRESENT), PassedOver("grace", PAUSED))
    nobody = reassigned({"grace": Absence(is_gone=True)}, {Load("linus", after().date()): 1})
    (recorded,) = nobody.payloads
    assert isinstance(recorded, SalesRecorded)
    assert (recorded.ignored, recorded.owner) == (IgnoredReason.NOBODY_ELSE, "ada")
    assert [passed.why for passed in recorded.passed_over] == [PRESENT, GONE, AT_CAPACITY]
    assert (nobody.state.owner, nobody.routing.turns, nobody.given) == ("ada", {"sales": 1}, None)


@pytest.mark.parametrize("before", ["sales", "dissolved", None])
def test_a_lead_of_a_team_that_the_accord_has_no_more_is_reassigned_in_its_rule_s(before: str | None) -> None:
    state = State(ADA, stage=Stage.MQL, version=1, entered_at=after(), owner="ada", team=before)
    accord, action = team("ada", "grace"), sales_action("assigned", after(hours=1))
    decision = apply(state, action, received_at=after(hours=1), accord=accord, routing=Routing())
    assert (decision.state.owner, decision.state.team) == ("grace", "sales")


def test_without_a_rule_that_holds_a_lead_waits_unassigned() -> None:
    told = assigned(qualify(compile_accord(load_accord(MINIMAL), 1), Routing(), 1))
    assert (told.owner, told.team, told.why) == (None, None, AssignmentReason.UNASSIGNED)


def test_a_decision_names_the_rows_that_it_depends_on() -> None:
    accord = team("ada:3", "grace", sticky="company_domain")
    today = after().date()

    def rows(decision: Decision) -> Rows:
        return rows_of(decision, accord, after())

    by_rule = qualify(accord, Routing(), "x", company="one.example")
    ada = frozenset({Load("ada", today)})
    assert rows(by_rule) == Rows(frozenset({"one.example"}), frozenset({"sales"}), ada)
    nobody = qualify(accord, Routing(absences={"ada": Absence(), "grace": Absence()}), "x", company="one.example")
    assert rows(nobody) == Rows(frozenset({"one.example"}), frozenset(), ada)
    by_company = qualify(accord, by_rule.routing, "y", company="one.example")
    assert rows(by_company) == Rows(frozenset({"one.example"}), frozenset(), ada)
    kept = qualify(accord, Routing(), "z", state=State(lead("z"), owner="grace", team="sales"))
    assert (rows(kept), assigned(kept).candidates, assigned(kept).passed_over) == (Rows(), (), ())
    for owner, expected in (("ada", Rows(loads=ada)), ("grace", Rows()), ("boss", Rows())):
        action = sales_action("assigned", after(), owner=owner)
        assert rows(apply(State(ADA), action, received_at=after(), accord=accord, routing=Routing())) == expected
    assert Rows.all_of([rows(by_rule), Rows(teams=frozenset({"b"}))]) == rows(by_rule)._replace(
        teams=frozenset({"sales", "b"})
    )


def test_a_stamp_reads_as_it_was_written() -> None:
    accord = team("ada:1", "grace", sticky="company_domain")
    routing = Routing(absences={"grace": Absence()})
    for n in range(2):
        decision = qualify(accord, routing, n, company="one.example")
        routing = decision.routing
        assert decision.stamp is not None
        assert stamp_from_json(json.loads(encode(stamp_to_json(decision.stamp)))) == decision.stamp
