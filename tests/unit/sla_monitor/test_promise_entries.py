"""Who counts for a promise on many leads (ACCORD.md "Promises")."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from promise_builders import LEADS_PER_WEEK, PromiseHouse, accords_of, change, day

from services.sla_monitor.model.entries import is_looked_at
from shared.agreement.promises import Tally, period_at
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import StageChanged

ACCEPTANCE = (
    "{id: acceptance, of: sales, share_of: mql, that_reached: sal, at_least: 60%, per: week, settles_after: 2d}"
)
PIPELINE = "{id: pipeline, of: marketing, share_of: opportunity, sourced_by: marketing, at_least: 40%, per: quarter}"
GRADE_A = "{id: grade-a, of: marketing, counts: mql, when: {grade: A}, at_least: 3, per: week}"


def counts(promise: str, *moved: StageChanged) -> list[Tally]:
    """Period by period."""
    house = PromiseHouse(accords_of((day(-7), [promise])), began=day(-7))
    house.changes(*moved)
    return [tally for _, tally in sorted(house.counts().items())]


def test_a_lead_counts_by_its_first_entry_in_each_period() -> None:
    again = [change(1, "mql", at) for at in (day(0), day(2), day(6, "23:59"), day(7, "0:00"), day(8))]
    assert counts(LEADS_PER_WEEK, *again, change(2, "mql", day(1))) == [Tally(2, 2), Tally(1, 1)]


def test_an_implied_mql_is_neither_a_start_nor_an_end() -> None:
    assert counts(LEADS_PER_WEEK, change(1, "mql", day(0), implied=True)) == []
    assert counts(LEADS_PER_WEEK, change(1, "mql", day(0), implied=True), change(1, "mql", day(1))) == [Tally(1, 1)]


def test_a_condition_is_asked_of_the_first_entry_alone() -> None:
    entries = [change(1, "mql", day(0), grade="B"), change(1, "mql", day(1), grade="A"), change(2, "mql", day(1))]
    assert counts(GRADE_A, *entries) == []
    assert counts(GRADE_A, change(1, "mql", day(0), grade="A"), change(1, "mql", day(1), grade="B")) == [Tally(1, 1)]


@pytest.mark.parametrize(
    ("at", "counted"), [(day(0, "10:01"), 1), (day(8, "23:59"), 1), (day(9, "0:00"), 0), (day(20), 0)]
)
def test_who_came_as_far_before_the_period_is_settled_is_counted(at: datetime, counted: int) -> None:
    """The week ends with day 6, and settles two days later."""
    line = [change(1, "mql", day(0)), change(1, "sal", at), change(2, "mql", day(3))]
    assert counts(ACCEPTANCE, *line) == [Tally(2, counted)]


def test_a_lead_that_comes_as_far_twice_counts_once_and_for_each_of_its_periods() -> None:
    line = [change(1, "mql", day(5)), change(1, "mql", day(7)), change(1, "sal", day(8)), change(1, "sal", day(8))]
    assert counts(ACCEPTANCE, *line) == [Tally(1, 1), Tally(1, 1)]


@pytest.mark.parametrize(
    ("deal", "expected"),
    [
        ({"amount": 500.0, "currency": "EUR"}, Tally(1, 1, 500.0, 500.0, 0)),
        ({"amount": 0.0, "currency": "EUR"}, Tally(1, 1)),
        ({"amount": 500.0, "currency": "USD"}, Tally(1, 1, 500.0, 500.0, 1)),
        ({"amount": 500.0}, Tally(1, 1, 500.0, 500.0, 1)),
        ({}, Tally(1, 1)),
        ({"amount": 1e300, "currency": "EUR"}, Tally(1, 1)),
        ({"amount": 70.0, "currency": "EUR", "lead": LeadSnapshot(first_team="sales")}, Tally(1, 0, 70.0, 0.0, 0)),
        ({"amount": 70.0, "currency": "EUR", "lead": LeadSnapshot()}, Tally(1, 0, 70.0, 0.0, 0)),
    ],
)
def test_a_share_by_side_adds_up_amounts(deal: dict[str, Any], expected: Tally) -> None:
    assert counts(PIPELINE, change(1, "opportunity", day(0), **deal)) == [expected]


def test_each_entry_counts_as_the_version_of_its_time_says_if_its_period_began_so() -> None:
    versions = (day(-7), [LEADS_PER_WEEK]), (day(2), [GRADE_A]), (day(7, "0:00"), [GRADE_A, ACCEPTANCE])
    house = PromiseHouse(accords_of(*versions), began=day(-7))
    house.changes(change(1, "mql", day(1)), change(2, "mql", day(3), grade="A"), change(3, "mql", day(7), grade="A"))
    assert sorted((promise, since, tally) for (promise, since), tally in house.counts().items()) == [
        ("acceptance", day(7, "0:00"), Tally(1, 0)),
        ("grade-a", day(7, "0:00"), Tally(1, 1)),
        ("leads-per-week", day(0, "0:00"), Tally(1, 1)),
    ]


def test_only_changes_that_a_promise_looks_at_cost_a_look_at_the_tables() -> None:
    accords = accords_of((day(-7), [ACCEPTANCE]), (day(2), [GRADE_A]))
    asked = {stage: is_looked_at(change(1, stage, day(3)), accords.newest, accords) for stage in ("mql", "sal", "sql")}
    # Who entered under the first version may still come as far as that asks for.
    assert asked == {"mql": True, "sal": True, "sql": False}
    assert not is_looked_at(change(1, "mql", day(3), implied=True), accords.newest, accords)


CHANGES = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(["mql", "sal", "sql", "opportunity", "recycled"]),
        st.integers(1, 200),
        st.booleans(),
        st.sampled_from(["A", "B"]),
    ),
    max_size=25,
)


@given(CHANGES, st.sampled_from([LEADS_PER_WEEK, GRADE_A, ACCEPTANCE]))
def test_counts_are_those_of_a_look_at_the_whole_history(
    changes: Sequence[tuple[int, str, int, bool, str]], promise: str
) -> None:
    """Beside a plain reading of the rules: entries one by one come to what a query over all of them finds."""
    at, line = day(0), []
    for number, stage, hours, implied, grade in changes:
        at += timedelta(hours=hours)
        line.append(change(number, stage, at, implied=implied, grade=grade))
    house = PromiseHouse(accords_of((day(-7), [promise])), began=day(-7))
    house.changes(*line)
    found = {since: tally for (_, since), tally in house.counts().items()}
    assert found == _looked_up(line, promise)


def _looked_up(line: Sequence[StageChanged], promise: str) -> dict[datetime, Tally]:
    told = [moved for moved in line if not (moved.implied and moved.to_stage == "mql")]
    weeks: dict[datetime, Tally] = {}
    for since in {_week(moved.occurred_at) for moved in told}:
        entries = counted = 0
        for lead_id in {moved.lead_id for moved in told}:
            own = [moved for moved in told if moved.lead_id == lead_id]
            inside = [n for n, moved in enumerate(own) if moved.to_stage == "mql" and _week(moved.occurred_at) == since]
            if not inside or (promise == GRADE_A and own[inside[0]].grade != "A"):
                continue
            entries += 1
            settled = since + timedelta(days=9)
            later = any(m.to_stage == "sal" and m.occurred_at < settled for m in own[inside[0] + 1 :])
            counted += later if promise == ACCEPTANCE else 1
        if entries:
            weeks[since] = Tally(entries, counted)
    return weeks


def _week(at: datetime) -> datetime:
    return period_at("week", at, accords_of((day(-7), [])).newest.calendar.zone).since
