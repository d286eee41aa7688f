"""The fold, step by step, against the slow evaluator of tests/scoring_reference.py, on random accords and histories."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line_builders import ADA, START, activity, after, profile
from scoring_reference import Reference, Version

from services.api.model import GrantRow, Moment, explain
from services.scoring.model import (
    Decision,
    Input,
    Past,
    Rescore,
    State,
    decide_on,
    fold,
    is_late,
    may_need_older,
    moment_of,
    rescore_id,
)
from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import load_accord
from shared.agreement.versions import Accords
from shared.events.activity import Activity

PERIODS = ["90s", "1h", "5h", "1d", "3d"]
Line = tuple[UUID, Input | Rescore, datetime]

where = st.none() | st.sampled_from([{"k": 1}, {"k": {"gte": 2}}, {"k": {"in": [2, 3]}}, {"x": {"exists": False}}])
types = st.sampled_from(["did.this", "did.that"])


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {"activity": draw(types), "points": draw(st.integers(-9, 9))}
    optional = {
        "where": where,
        "half_life": st.none() | st.sampled_from(["20m", "6h", "2d", "never"]),
        "at_most": st.none() | st.fixed_dictionaries({"points": st.integers(1, 8), "per": st.sampled_from(PERIODS)}),
        "once": st.none() | st.just(True),
        "after": st.none()
        | st.fixed_dictionaries(
            {"activity": types, "within": st.sampled_from(PERIODS)}, optional={"where": st.just({"k": 1})}
        ),
    }
    for name, strategy in optional.items():
        value = draw(strategy)
        if value is not None:
            rule[name] = value
    return rule


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    drawn = draw(st.lists(rules(), min_size=1, max_size=4))
    engagement = {"half_life": draw(st.sampled_from(["1d", "4h"])), "cap": draw(st.sampled_from([10, 60]))}
    fits = st.sampled_from([{"title": "CEO"}, {"employees": {"gte": 50}}, {"title": {"ne": "Intern"}}])
    fit = draw(st.lists(st.tuples(fits, st.integers(-20, 40)), max_size=3))
    fit_rules = [{"id": f"f{n}", "where": test, "points": points} for n, (test, points) in enumerate(fit)]
    return {
        "accord": 1,
        "name": "Random",
        "calendar": {"timezone": "UTC", "hours": {"mon": ["09:00-17:00"]}},
        "scoring": {
            "engagement": {**engagement, "rules": [{"id": f"r{n}", **rule} for n, rule in enumerate(drawn)]},
            "fit": {"rules": fit_rules, "grades": {"A": 50, "B": 30, "C": 10}},
        },
        "stages": {"mql": {"engagement": {"gte": 40}}},
    }


@st.composite
def events(draw: st.DrawFn) -> list[Input]:
    """Received in order but for a few; occurred up to five days before, or after."""
    received, found = 0, list[Input]()
    for n in range(draw(st.integers(1, 22))):
        received += draw(st.sampled_from([0, 60, 3600, 3600, 43_200, 86400, 200_000, -7200, -90_000]))
        lateness = draw(st.sampled_from([0, 0, 0, 1, 90, 3600, 18000, 86400, 90_000, 430_000, -600]))
        at, received_at = after(seconds=received - lateness), after(seconds=received)
        if draw(st.integers(0, 4)) == 0:
            title, employees = draw(st.sampled_from(["CEO", "ceo", "Intern", None])), draw(st.integers(0, 99))
            found.append(profile(at, received_at=received_at, title=title, employees=employees))
        else:
            data = {"k": draw(st.integers(1, 3))}
            found.append(activity(draw(types), at, received_at=received_at, data=data, n=n))
    return found


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Version], list[Input], list[int]]:
    """Versions, events in the order they are applied, and before how many of these the background rescores."""
    starts = sorted(draw(st.lists(st.integers(-50_000, 900_000), max_size=2)))
    effects = [START - timedelta(days=3650), *(after(seconds=start) for start in starts)]
    versions = [Version(n, at, draw(documents())) for n, at in enumerate(effects, 1)]
    return versions, draw(events()), draw(st.lists(st.integers(0, 22), max_size=3))


def accords_of(versions: Sequence[Version]) -> Accords:
    return Accords([(at, compiled(document, number)) for number, at, document in versions])


def compiled(document: Any, version: int) -> CompiledAccord:
    return compile_accord(load_accord(json.dumps(document)), version)


def history_of(versions: Sequence[Version], inputs: Sequence[Input], background: Sequence[int]) -> list[Line]:
    """The history that a lead gets: rescored in front of events, and here and there in the background before."""
    reference, lines = Reference(versions), list[Line]()

    def rescore(rank: int) -> None:
        version, effective_at = versions[rank].number, versions[rank].effective_at
        lines.append((rescore_id(version, ADA), Rescore(version=version), effective_at))
        reference.rescore(rank)

    for n, item in enumerate(inputs):
        carried = reference.carried
        if carried is not None and n in background and carried + 1 < len(versions):
            rescore(carried + 1)
        while reference.carried is not None and reference.carried < reference.own(item.received_at):
            rescore(reference.carried + 1)
        lines.append((item.id, item, item.received_at))
        reference.take(item)
    return lines


def granted(decision: Decision, id: UUID) -> list[tuple[int, UUID, str, int]]:
    """Its lines of the ledger: version, event, rule, points."""
    own = [(decision.state.accord, id, grant["rule"], grant["points"]) for grant in decision.grants]
    return own + [
        (accord, done.event_id, grant["rule"], grant["points"])
        for done, accord, grants in decision.also
        for grant in grants
    ]


@settings(max_examples=200, deadline=None)
@given(histories())
def test_every_grant_and_every_score_under_every_version_is_the_one_that_the_agreement_defines(
    drawn: tuple[list[Version], list[Input], list[int]],
) -> None:
    versions, inputs, background = drawn
    accords, reference, ledger = accords_of(versions), Reference(versions), list[tuple[int, UUID, str, int]]()
    lines = history_of(versions, inputs, background)
    for (id, item, _), decision in zip(lines, fold(lines, accords), strict=True):
        if isinstance(item, Rescore):
            reference.rescore(item.version - 1)
        else:
            reference.take(item)
        ledger += granted(decision, id)
        assert_whole(decision, accords)
        state, carried = decision.state, reference.carried
        assert carried is not None
        assert state.accord == carried + 1
        assert decision.score["as_of"] == reference.as_of
        assert state.engagement == pytest.approx(reference.engagement, abs=1e-9)
        assert (state.fit, state.grade) == reference.fit
        assert state.profile == reference.profile
        expected = [
            (rank + 1, grant.event_id, grant.rule["id"], grant.points)
            for rank in range(carried + 1)
            for grant in reference.ledger(rank).granted
        ]
        assert sorted(ledger) == sorted(expected)
        explanation = explain(rows(reference, carried), accords.version(state.accord), Moment(moment_of(state.as_of)))
        assert explanation.engagement == pytest.approx(state.engagement, abs=1e-9)
        parts = [worth for _, worth in explanation.grants] + [points for _, points in explanation.adjustments]
        assert sum(parts) == pytest.approx(state.engagement, abs=1e-9)


def assert_whole(decision: Decision, accords: Accords) -> None:
    """What a rule grants and what it withholds are its points, and it says why if it withholds any."""
    own = [(decision.state.accord, grant) for grant in decision.grants]
    for accord, grant in own + [(accord, grant) for _, accord, grants in decision.also for grant in grants]:
        assert grant["points"] + grant["withheld"] == accords.version(accord).rule(grant["rule"]).points
        assert grant["why"] is not None or not grant["withheld"]


def rows(reference: Reference, rank: int) -> list[GrantRow]:
    return [
        GrantRow(grant.event_id, "", grant.rule["id"], grant.points, 0, None, grant.at, grant.received_at)
        for grant in reference.ledger(rank).granted
    ]


@settings(max_examples=200, deadline=None)
@given(documents(), events())
def test_a_state_alone_suffices_for_every_event_that_is_not_late(document: Any, inputs: list[Input]) -> None:
    """Only an event that says so gets what the state forgot."""
    accords = Accords([(START, compiled(document, 1))])
    state, past = State(), Past()
    whole = list(fold([(item.id, item, item.received_at) for item in inputs], accords))
    for item, expected in zip(inputs, whole, strict=True):
        needs = may_need_older(item, received_at=item.received_at, as_of=state.as_of, accord=accords.newest)
        known = past if needs or not isinstance(item, Activity) else None
        decision = decide_on(state, item.id, item, item.received_at, accords=accords, past=known)
        assert decision.grants == expected.grants
        assert decision.state == expected.state
        if known is None and isinstance(item, Activity):
            decide_on(state, item.id, item, item.received_at, accords=accords, past=past)
        state = decision.state


@settings(max_examples=100, deadline=None)
@given(histories())
def test_a_rescored_lead_is_as_if_it_had_been_scored_under_that_version_from_the_beginning(
    drawn: tuple[list[Version], list[Input], list[int]],
) -> None:
    versions, inputs, background = drawn
    accords = accords_of(versions)
    last = list(fold(history_of(versions, inputs, background), accords))[-1].state
    alone = Accords([(versions[0].effective_at, accords.version(last.accord))])
    afresh = list(fold([(item.id, item, item.received_at) for item in inputs], alone))[-1].state
    assert (last.totals.keys(), last.profile, last.fit, last.grade) == (
        afresh.totals.keys(), afresh.profile, afresh.fit, afresh.grade
    )  # fmt: skip
    for rule, total in last.totals.items():
        assert total == afresh.totals[rule], "to the last digit: the same additions in the same order"


@settings(max_examples=100, deadline=None)
@given(documents(), events(), st.integers(0, 3), st.integers(1, 20))
def test_more_points_in_a_rule_never_lower_anyone(document: Any, inputs: list[Input], index: int, more: int) -> None:
    """A rule without a limit, that is: with one, bigger grants spend it earlier, and what is granted earlier decays."""
    drawn = document["scoring"]["engagement"]["rules"]
    drawn[index % len(drawn)].pop("at_most", None)
    raised = json.loads(json.dumps(document))
    raised["scoring"]["engagement"]["rules"][index % len(drawn)]["points"] += more
    lines: list[Line] = [(item.id, item, item.received_at) for item in inputs]
    before = fold(lines, Accords([(START, compiled(document, 1))]))
    after_ = fold(lines, Accords([(START, compiled(raised, 1))]))
    for low, high in zip(before, after_, strict=True):
        assert high.state.engagement >= low.state.engagement - 1e-9


def test_an_event_of_an_earlier_version_says_that_it_is_late() -> None:
    accords = accords_of([Version(1, START, _plain(5)), Version(2, after(days=1), _plain(7))])
    assert is_late(after(hours=1), 2, accords)
    assert not is_late(after(days=1), 2, accords)
    assert not is_late(after(hours=1), 1, accords)
    state = list(fold([(ADA, activity("did.this", after(days=2)), after(days=2))], accords))[-1].state
    late = activity("did.this", after(hours=1))
    with pytest.raises(LookupError):
        decide_on(state, late.id, late, late.received_at, accords=accords, past=None)


def test_a_late_event_is_granted_under_an_earlier_version_by_what_that_version_saw() -> None:
    """What came in under the second version is nothing to follow, and spends nothing, under the first."""
    follows = {"activity": "did.this", "within": "3d"}
    first = _plain(5, at_most={"points": 5, "per": "3d"})
    first["scoring"]["engagement"]["rules"].append({"id": "f", "activity": "did.that", "points": 9, "after": follows})
    accords = accords_of([Version(1, START, first), Version(2, after(days=1), _plain(7))])
    seen_later = activity("did.this", after(hours=1), received_at=after(days=1))
    late = [activity(type, after(hours=2), received_at=after(hours=3)) for type in ("did.that", "did.this")]
    lines: list[Line] = [(item.id, item, item.received_at) for item in (seen_later, *late)]
    ledger = [
        line for (id, _, _), decision in zip(lines, fold(lines, accords), strict=True) for line in granted(decision, id)
    ]
    assert sorted(ledger) == sorted(
        [(2, seen_later.id, "r", 7), (1, late[0].id, "f", 0), (1, late[1].id, "r", 5), (2, late[1].id, "r", 7)]
    )


def _plain(points: int, **rule: Any) -> dict[str, Any]:
    return {
        "accord": 1,
        "name": "Plain",
        "calendar": {"timezone": "UTC", "hours": {"mon": ["09:00-17:00"]}},
        "scoring": {"engagement": {"rules": [{"id": "r", "activity": "did.this", "points": points, **rule}]}},
        "stages": {"mql": {"engagement": {"gte": 40}}},
    }


def test_a_state_stays_small_however_long_its_history() -> None:
    limited = {"id": "r", "activity": "did.this", "points": 1, "at_most": {"points": 5, "per": "1d"}}
    follower = {"id": "f", "activity": "did.that", "points": 1, "after": {"activity": "did.this", "within": "1d"}}
    document = _plain(1)
    document["scoring"]["engagement"]["rules"] = [limited, follower]
    accords, state = Accords([(START, compiled(document, 1))]), State()
    for hour in range(2000):
        event = activity("did.this", after(hours=hour))
        state = decide_on(state, event.id, event, event.received_at, accords=accords, past=None).state
    assert len(state.windows["r"][1]) <= 15
    assert len(state.preceding["f"][1]) <= 6
