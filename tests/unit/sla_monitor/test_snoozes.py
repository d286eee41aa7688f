"""Clocks that stand still while their lead is snoozed (ACCORD.md "Clocks": `pauses_while`)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sla_builders import ACCORD_TEXT, Timeline, clock_time

from services.sla_monitor.model.decisions import TOUCHES_MAX
from services.sla_monitor.model.states import ClockState
from shared.agreement.clocks import Pause, working
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import load_accord
from shared.agreement.snoozes import FOREVER, SNOOZES_MAX
from shared.events.sla import ClockMet, ClockPaused, ClockResumed

DEAL = "deal"  # two hours, from 10:00: warned at 11:00, due at 12:00, recycled at 14:00


def deal() -> Timeline:
    line = Timeline()
    line.enters("sql", "10:00")
    return line


def test_a_snooze_stops_the_counting_until_its_time_and_the_deadline_moves_by_as_much() -> None:
    line = deal()
    line.snoozes("10:30", "13:00")
    assert line.clock(DEAL).state is ClockState.PAUSED
    assert line.clock(DEAL).deadline == clock_time("14:30")
    line.sweeps("12:59")
    line.sweeps("13:00")
    assert line.clock(DEAL).state is ClockState.OPEN
    line.sweeps("14:30")
    assert line.said(DEAL) == [
        *("10:00 started", "10:30 paused 1", "13:00 resumed 1"),
        *("13:30 warned", "14:30 breached", "14:30 escalated 1"),
    ]
    paused = next(event for event in line.events if isinstance(event, ClockPaused))
    assert (paused.until, paused.deadline, paused.elapsed_seconds) == (clock_time("13:00"), clock_time("14:30"), 1800)


def test_the_next_touch_ends_it() -> None:
    line = deal()
    line.snoozes("10:30", "13:00")
    line.records("11:00")
    assert line.said(DEAL) == ["10:00 started", "10:30 paused 1", "11:00 resumed 1"]
    assert line.clock(DEAL).deadline == clock_time("12:30")
    resumed = next(event for event in line.events if isinstance(event, ClockResumed))
    assert resumed.deadline == clock_time("12:30")


def test_a_stop_meets_it_while_it_stands_still_and_the_time_taken_leaves_the_pause_out() -> None:
    line = deal()
    line.snoozes("10:30", "13:00")
    line.enters("opportunity", "12:30", action="opportunity.opened")
    met = next(event for event in line.events if isinstance(event, ClockMet))
    assert met.elapsed_seconds == 1800
    assert line.clock(DEAL).response_seconds == 1800
    line.sweeps("13:00")
    assert line.said(DEAL)[-1] == "12:30 met"


def test_a_warned_clock_that_counts_again_is_still_warned() -> None:
    line = deal()
    line.sweeps("11:00")
    line.snoozes("11:15", "11:45")
    assert line.clock(DEAL).state is ClockState.PAUSED
    line.sweeps("11:45")
    assert line.clock(DEAL).state is ClockState.WARNED
    assert line.clock(DEAL).deadline == clock_time("12:30")


@pytest.mark.parametrize("first_is_longer", [True, False])
def test_where_snoozes_overlap_time_stands_still_in_both(first_is_longer: bool) -> None:
    line = deal()
    line.snoozes("10:15", "11:30" if first_is_longer else "11:00")
    line.snoozes("10:30", "11:00" if first_is_longer else "11:30")
    assert line.clock(DEAL).deadline == clock_time("13:15")
    assert line.clock(DEAL).paused_until == clock_time("11:30")
    line.sweeps("11:30")
    assert line.said(DEAL) == ["10:00 started", "10:15 paused 1", "11:30 resumed 1"]


def test_one_without_a_time_or_with_a_time_that_is_past_stops_nothing() -> None:
    line = deal()
    line.snoozes("10:30", None)
    line.snoozes("10:30", "10:20")
    assert line.said(DEAL) == ["10:00 started"]
    assert line.clock(DEAL).deadline == clock_time("12:00")


def test_one_that_is_heard_of_when_it_is_over_counts_all_the_same() -> None:
    line = deal()
    line.snoozes("10:30", "11:00", received="11:15")
    assert line.said(DEAL) == ["10:00 started", "10:30 paused 1", "11:00 resumed 1"]
    assert line.clock(DEAL).deadline == clock_time("12:30")
    assert line.clock(DEAL).state is ClockState.OPEN


def test_a_touch_that_is_heard_of_first_ends_it_too() -> None:
    line = deal()
    line.records("11:00", received="11:00")
    line.snoozes("10:30", "13:00", received="11:10")
    assert line.clock(DEAL).deadline == clock_time("12:30")
    assert line.said(DEAL) == ["10:00 started", "10:30 paused 1", "11:00 resumed 1"]


def test_of_several_touches_that_are_heard_of_first_the_next_one_ends_it() -> None:
    line = deal()
    for at in ("10:20", "11:00", "11:40"):
        line.records(at)
    line.snoozes("10:30", "13:00", received="11:50")
    assert line.clock(DEAL).deadline == clock_time("12:30")
    assert line.said(DEAL) == ["10:00 started", "10:30 paused 1", "11:00 resumed 1"]


def test_only_so_many_touches_are_remembered_the_latest_of_them() -> None:
    line = deal()
    for _ in range(TOUCHES_MAX):
        line.records("10:40")
    line.records("10:35", "note")
    line.records("10:31")
    assert line.lead is not None
    assert line.lead.touches == {"contacted": (clock_time("10:40"),) * TOUCHES_MAX, "note": (clock_time("10:35"),)}


@pytest.mark.parametrize("hours", ["always", "business"])
def test_a_snooze_until_further_notice_lasts_until_the_next_touch(hours: str) -> None:
    line = Timeline(ACCORD_TEXT.replace("within: 2h\n      hours: always", f"within: 2h\n      hours: {hours}"))
    line.enters("sql", "10:00")
    line.snoozes_until("10:30", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert line.clock(DEAL).state is ClockState.PAUSED
    assert line.clock(DEAL).deadline > FOREVER
    line.records("11:00")
    assert line.clock(DEAL).deadline == clock_time("12:30")
    line.sweeps("12:30")
    assert line.said(DEAL)[-2:] == ["12:30 breached", "12:30 escalated 1"]


def test_a_touch_that_is_heard_of_late_moves_the_deadline_back() -> None:
    line = deal()
    line.snoozes("10:30", "11:30")
    line.sweeps("11:30")
    line.records("11:00", received="11:40")
    assert line.clock(DEAL).deadline == clock_time("12:30")
    assert line.said(DEAL) == ["10:00 started", "10:30 paused 1", "11:30 resumed 1"]


def test_a_snooze_before_the_start_reaches_into_the_clock() -> None:
    line = Timeline()
    line.enters("sal", "9:00")
    line.snoozes("9:30", "11:00")
    line.enters("sql", "10:00", received="10:00")
    clock = line.clock(DEAL, entry=2)
    assert (clock.state, clock.deadline) == (ClockState.PAUSED, clock_time("13:00"))
    assert line.said(DEAL) == ["10:00 started", "10:00 paused 1"]


def test_a_snooze_that_is_read_before_the_sweep_leaves_no_breach() -> None:
    line = deal()
    line.snoozes("11:59", "13:00", received="12:30")
    line.sweeps("12:30")
    assert "12:00 breached" not in line.said(DEAL)
    assert line.clock(DEAL).deadline == clock_time("13:01")


def test_a_snooze_after_the_deadline_does_not_take_the_breach_away_and_puts_off_what_follows() -> None:
    line = deal()
    line.snoozes("12:10", "13:10")
    line.sweeps("12:15")
    assert line.said(DEAL) == ["10:00 started", "11:00 warned", "12:00 breached", "12:00 escalated 1"]
    assert line.clock(DEAL).next_due_at == clock_time("15:00")
    line.sweeps("14:59")
    assert line.effects == []
    line.sweeps("15:00")
    assert len(line.effects) == 1


def test_a_snooze_at_the_very_deadline_comes_too_late() -> None:
    line = deal()
    line.snoozes("12:00", "13:00")
    assert (line.clock(DEAL).state, line.clock(DEAL).paused_until) == (ClockState.OPEN, None)
    line.sweeps("12:00")
    assert line.said(DEAL) == ["10:00 started", "11:00 warned", "12:00 breached", "12:00 escalated 1"]


def test_a_snooze_in_time_that_is_heard_of_after_the_breach_lets_a_stop_by_the_moved_deadline_void_it() -> None:
    line = deal()
    line.sweeps("12:00")
    line.snoozes("11:30", "13:00", received="12:05")
    assert (line.clock(DEAL).state, line.clock(DEAL).deadline) == (ClockState.BREACHED, clock_time("13:30"))
    line.enters("opportunity", "13:20", action="opportunity.opened")
    assert line.clock(DEAL).state is ClockState.VOIDED


def test_a_resolved_breach_is_voided_by_a_snooze_that_shows_that_the_stop_was_in_time() -> None:
    line = deal()
    line.sweeps("12:00")
    line.enters("opportunity", "12:20", action="opportunity.opened")
    assert line.clock(DEAL).state is ClockState.RESOLVED
    line.snoozes("11:30", "12:00", received="12:30")
    assert line.clock(DEAL).state is ClockState.VOIDED


def test_clocks_that_do_not_pause_run_on() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.snoozes("10:10", "12:00")
    line.sweeps("11:00")
    assert line.said()[-2:] == ["11:00 breached", "11:00 escalated 1"]


def test_a_clock_is_paused_a_bounded_number_of_times() -> None:
    line = Timeline(ACCORD_TEXT.replace("within: 2h", "within: 2w"))
    line.enters("sql", "8:00")
    for number in range(SNOOZES_MAX + 5):
        at = f"{8 + number // 30}:{2 * number % 60:02}"
        until = f"{8 + number // 30}:{2 * number % 60 + 1:02}"
        line.snoozes(at, until)
        line.sweeps(until)
    assert len(line.clock(DEAL).pauses) == SNOOZES_MAX
    assert line.clock(DEAL).deadline == clock_time("8:00") + timedelta(weeks=2, minutes=SNOOZES_MAX)


_MINUTES = st.integers(0, 300)


@settings(max_examples=150, deadline=None)
@given(snoozes=st.lists(st.tuples(_MINUTES, st.integers(1, 120)), max_size=5), touches=st.lists(_MINUTES, max_size=2))
def test_the_deadline_is_where_a_count_of_every_minute_ends_in_whatever_order_things_are_heard(
    snoozes: list[tuple[int, int]], touches: list[int]
) -> None:
    line = deal()

    def at(minute: int) -> str:
        return f"{10 + minute // 60}:{minute % 60:02}"

    happened = [(minute, 1, length) for minute, length in snoozes] + [(minute, 0, 0) for minute in touches]
    for minute, is_snooze, length in sorted(happened):
        if is_snooze:
            line.snoozes(at(minute), at(minute + length), received=at(minute))
        else:
            line.records(at(minute))
    ends = [min([start + length, *(t for t in touches if t > start)]) for start, length in snoozes]
    spans = list(zip([start for start, _ in snoozes], ends, strict=True))
    counted, minute = 0, 0
    while counted < 120:
        counted += not any(start <= minute < end for start, end in spans)
        minute += 1
    assert line.clock(DEAL).deadline == clock_time("10:00") + timedelta(minutes=minute)
    kinds = [event.TYPE.rpartition(".")[2] for event in line.events if event.rule == DEAL][1:]
    assert all(kind == ("paused", "resumed")[index % 2] for index, kind in enumerate(kinds))


def test_a_clock_that_is_over_stays_as_it_was() -> None:
    line = deal()
    line.enters("opportunity", "10:20", action="opportunity.opened")
    line.snoozes("10:10", "11:00", received="10:30")
    assert (line.clock(DEAL).deadline, line.clock(DEAL).pauses) == (clock_time("12:00"), ())


def test_the_working_has_the_pause_as_far_as_it_reaches_into_the_span() -> None:
    accord = compile_accord(load_accord(ACCORD_TEXT), 1)
    pauses = [Pause(clock_time("9:00"), clock_time("10:30")), Pause(clock_time("11:00"), clock_time("13:00"))]
    span = (accord.clock_rule(DEAL), clock_time("10:00"), clock_time("12:00"))
    pieces = [(f"{piece.from_:%H:%M}", f"{piece.to:%H:%M}", piece.why) for piece in working(accord, *span, pauses)]
    assert pieces == [
        ("10:00", "10:30", "snoozed"),
        ("10:30", "11:00", "every hour counts"),
        ("11:00", "12:00", "snoozed"),
    ]
