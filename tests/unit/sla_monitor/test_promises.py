"""The clocks of one lead as timelines (ACCORD.md "Clocks")."""

from uuid import uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sla_builders import ACCORD_TEXT, NAMES, Timeline, clock_time

from services.sla_monitor.model.decisions import fold
from services.sla_monitor.model.states import ClockState
from shared.events.lifecycle import AssignmentReason
from shared.events.sla import ClockBreached, ClockEscalated, ClockResolved, ClockStarted, ClockVoided


def test_a_touch_in_time_meets_the_promise_and_nothing_more_is_announced() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.records("10:30")
    line.sweeps("12:30")
    assert line.said() == ["10:00 started", "10:30 met"]
    assert line.clock().met_at == clock_time("10:30")


def test_a_touch_at_the_very_deadline_is_in_time() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.records("11:00")
    assert line.said()[-1] == "11:00 met"


def test_without_a_touch_the_whole_ladder_is_announced_each_step_once() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    for now in ("10:44", "10:45", "10:46", "11:00", "11:01", "11:59", "12:00", "12:01"):
        line.sweeps(now)
    assert line.said() == ["10:00 started", "10:45 warned", "11:00 breached", "11:00 escalated 1", "12:00 escalated 2"]
    assert line.clock().next_due_at is None
    assert line.clock().state is ClockState.BREACHED
    escalated = [event.to for event in line.events if isinstance(event, ClockEscalated)]
    assert escalated == ["owner", "manager"]
    assert [event.whom for event in line.events if isinstance(event, ClockEscalated)] == [None, None]


def test_a_sweep_that_comes_late_announces_the_same_and_says_how_late() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.sweeps("12:30", lagging=True)
    assert line.said() == ["10:00 started", "10:45 warned", "11:00 breached", "11:00 escalated 1", "12:00 escalated 2"]
    breach = next(event for event in line.events if isinstance(event, ClockBreached))
    assert breach.lateness_seconds == 90 * 60
    assert breach.lagging
    assert line.clock().breached_at == clock_time("11:00")
    assert line.clock().announced_at == clock_time("12:30")


def test_a_late_touch_after_the_breach_resolves_it_and_ends_the_escalation() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.sweeps("11:00")
    line.records("11:30")
    line.sweeps("12:30")
    assert line.said()[-1] == "11:30 resolved"
    resolved = next(event for event in line.events if isinstance(event, ClockResolved))
    assert resolved.elapsed_seconds == 90 * 60


def test_a_late_touch_before_the_announcement_breaches_and_resolves_at_once() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.records("11:30")
    line.sweeps("12:30")
    assert line.said() == ["10:00 started", "11:00 breached", "11:00 escalated 1", "11:30 resolved"]
    assert line.clock().state is ClockState.RESOLVED


@pytest.mark.parametrize("resolved_first", [False, True])
def test_a_touch_in_time_that_arrives_after_the_breach_voids_it(resolved_first: bool) -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.sweeps("11:00")
    if resolved_first:
        line.records("11:10")
    line.records("10:50", received="11:20")
    line.sweeps("12:30")
    assert line.said()[-1] == "11:20 voided"
    assert line.clock().state is ClockState.VOIDED
    assert line.clock().voided_at == clock_time("11:20")
    voided = next(event for event in line.events if isinstance(event, ClockVoided))
    assert (voided.elapsed_seconds, line.clock().response_seconds) == (
        50 * 60,
        50 * 60,
    )  # until the touch, not the news


def test_a_touch_in_time_that_arrives_late_but_before_the_announcement_meets() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.records("10:50", received="11:20")
    assert line.said() == ["10:00 started", "10:50 met"]


def test_a_touch_before_the_start_or_one_that_was_ignored_stops_nothing() -> None:
    line = Timeline()
    line.records("9:59")
    line.enters("mql", "10:00")
    line.records("10:10", ignored="overtaken")
    line.records("10:20", "note")
    assert line.said() == ["10:00 started"]


def test_a_touch_that_is_read_before_the_entry_it_answers_still_meets_its_clock() -> None:
    line = Timeline()
    line.records("10:00", received="10:00")
    line.enters("mql", "10:00")
    assert line.said() == ["10:00 started", "10:00 met"]


def test_of_several_touches_that_are_read_before_the_entry_the_first_one_counts() -> None:
    line = Timeline()
    for at in ("9:59", "10:40", "10:05", "11:30"):
        line.records(at)
    line.enters("mql", "10:00", received="11:31")
    assert line.said() == ["10:00 started"]  # its deadline was over when its start was heard of
    late = Timeline()
    for at in ("9:59", "10:40", "10:05"):
        late.records(at)
    late.enters("mql", "10:00", received="10:45")
    assert late.said() == ["10:00 started", "10:05 met"]


HANDED_OVER = ACCORD_TEXT.replace("stops: [contacted]", "stops: [contacted, assigned]")


def test_a_promise_to_hand_a_lead_over_is_kept_by_people_and_not_by_the_routing_of_its_entry() -> None:
    line = Timeline(HANDED_OVER)
    line.enters("mql", "10:00")
    line.assigned("10:00", "ada@sales.example")
    assert line.said() == ["10:00 started"]
    line.assigned("10:20", "grace@sales.example", why=AssignmentReason.HANDED_OVER)
    assert line.said() == ["10:00 started", "10:20 met"]


def test_the_reassign_of_its_own_escalation_does_not_keep_a_promise_to_hand_a_lead_over() -> None:
    line = Timeline(HANDED_OVER)
    line.enters("mql", "10:00", owner="ada@sales.example", team="enterprise")
    line.sweeps("12:00")
    line.reassigned("12:00", "grace@sales.example")
    assert line.clock().state is ClockState.BREACHED
    assert line.clock(attempt=2).state is ClockState.OPEN


def test_only_clocks_whose_condition_holds_start() -> None:
    line = Timeline()
    line.enters("mql", "10:00", grade="C")
    assert line.events == []
    line.enters("mql", "10:00", grade="A")
    assert {event.rule for event in line.events} == {"first-contact", "decision"}


def test_an_implied_entry_starts_no_clock_but_its_action_stops_one() -> None:
    line = Timeline()
    line.enters("mql", "10:00", grade="A")
    line.enters("sal", "10:10", **{"from": "mql"}, action="accepted", implied=True)
    assert line.said("decision") == ["10:00 started", "10:10 met"]
    line.enters("mql", "10:20", implied=True, grade="A", entry=9)
    assert line.said("decision") == ["10:00 started", "10:10 met"]


def test_leaving_the_line_meets_what_its_action_stops_and_cancels_the_rest() -> None:
    line = Timeline()
    line.enters("mql", "10:00", grade="A")
    line.enters("recycled", "10:20", action="rejected")
    assert line.said("decision") == ["10:00 started", "10:20 met"]
    assert line.said("first-contact") == ["10:00 started", "10:20 cancelled"]
    line.sweeps("12:30")
    assert len(line.events) == 4


def test_leaving_the_line_after_the_deadline_breaches_what_was_not_announced_yet() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.enters("disqualified", "11:30", action="disqualified")
    line.sweeps("12:30")
    assert line.said() == ["10:00 started", "11:00 breached", "11:00 escalated 1"]


def test_leaving_the_line_ends_the_escalation_of_a_breach_that_later_touches_do_not_resolve() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.sweeps("11:00")
    line.enters("recycled", "11:10", action="recycled")
    line.sweeps("12:30")
    line.enters("mql", "13:00")
    line.records("13:10")
    assert line.said() == [
        *("10:00 started", "10:45 warned", "11:00 breached", "11:00 escalated 1"),
        *("13:00 started", "13:10 met"),
    ]
    assert line.clock(entry=1).state is ClockState.BREACHED


def test_a_clock_whose_deadline_had_passed_when_its_entry_was_received_is_a_late_start() -> None:
    line = Timeline()
    line.enters("mql", "10:00", received="11:01")
    line.records("10:30", received="11:02")
    line.sweeps("12:30")
    assert line.clock().state is ClockState.LATE_START
    assert [event.late_start for event in line.events] == [True]


def test_history_from_a_source_of_the_past_starts_late_even_when_its_deadline_lies_ahead() -> None:
    line = Timeline()
    line.enters("mql", "10:00", historical=True)
    assert line.clock().state is ClockState.LATE_START
    assert line.clock().next_due_at is None


def test_running_clocks_follow_the_owner_and_a_breach_stays_with_whom_it_happened_to() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.assigned("10:00", "ada@sales.example")
    line.sweeps("11:00")
    line.assigned("11:30", "grace@sales.example")
    line.sweeps("12:00")
    assert line.clock().owner == "ada@sales.example"
    assert [event.owner for event in line.events][1:] == [*["ada@sales.example"] * 3, "grace@sales.example"]


def test_business_hours_count_over_night_and_in_the_time_taken() -> None:
    line = Timeline()
    line.enters("mql", "15:00", grade="A")
    assert line.clock("decision").deadline == clock_time("tue 11:00")
    line.sweeps("tue 11:00")
    line.enters("sal", "tue 12:00", action="accepted")
    resolved = next(event for event in line.events if isinstance(event, ClockResolved))
    assert resolved.elapsed_seconds == 5 * 3600


def test_the_id_of_a_clock_derives_from_its_entry_and_its_rule() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    started = next(event for event in line.events if isinstance(event, ClockStarted))
    assert started.clock_id == uuid5(uuid5(NAMES, "event 0"), "first-contact")


_minutes = st.integers(min_value=0, max_value=200)
_inputs = st.lists(
    st.tuples(st.sampled_from(["touch", "sweep", "sweep", "leave", "enter"]), _minutes, _minutes),
    min_size=1,
    max_size=14,
)


@given(_inputs)
@settings(max_examples=200, deadline=None)
def test_no_order_of_events_and_sweeps_announces_anything_twice_or_contradicts_the_stops(
    inputs: list[tuple[str, int, int]],
) -> None:
    line = Timeline()
    line.enters("mql", "8:00")
    now = 0
    for kind, step, back in inputs:
        now += step
        at, then = (f"{8 + m // 60}:{m % 60:02}" for m in (min(now, 900), min(max(0, now - back), 900)))
        if kind == "touch":
            line.records(then, received=at)
        elif kind == "sweep":
            line.sweeps(at)
        elif kind == "leave":
            line.enters("recycled", at, action="recycled")
        else:
            line.enters("mql", at)
    ids = line.announcement_ids()
    assert len(ids) == len(set(ids))
    *_, last = fold(line.inputs, line.accords)
    assert last.lead == line.lead
    assert line.lead is not None
    for clock in line.lead.clocks:
        kinds = [event.TYPE.rpartition(".")[2] for event in line.events if event.clock_id == clock.clock_id]
        assert kinds[0] == "started"
        assert not {"met", "breached"} <= set(kinds)
        assert ("voided" in kinds) == (clock.state is ClockState.VOIDED)
        for end in {"met", "voided", "cancelled"} & set(kinds):
            assert kinds[-1] == end
        assert (clock.next_due_at is None) or clock.state not in (
            ClockState.MET,
            ClockState.VOIDED,
            ClockState.RESOLVED,
        )
