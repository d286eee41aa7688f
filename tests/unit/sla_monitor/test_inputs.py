"""What one input does to a lead of sla_monitor beside its clocks, and what a sweep and a late breach are known by."""

from sla_builders import ACCORD_TEXT, NAMES, Timeline, clock_time, sales_recorded

from services.sla_monitor.model.decisions import apply, tick_id
from services.sla_monitor.model.states import Received
from shared.events.envelope import derived_id
from shared.events.sla import ClockBreached


def test_a_breach_that_a_late_touch_shows_is_late_but_not_for_a_line_that_lags() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.records("11:30", received="11:40")
    breach = next(event for event in line.events if isinstance(event, ClockBreached))
    assert (breach.lateness_seconds, breach.lagging) == (40 * 60, False)
    assert (line.clock().lateness_seconds, line.clock().is_lagging) == (40 * 60, False)


def test_an_entry_that_names_no_owner_leaves_the_lead_with_the_one_it_has() -> None:
    line = Timeline()
    line.enters("mql", "10:00", owner="ada@sales.example", team="enterprise")
    assert (line.clock().owner, line.clock().team) == ("ada@sales.example", "enterprise")
    line.enters("mql", "10:10")
    assert (line.clock(entry=2).owner, line.clock(entry=2).team) == ("ada@sales.example", "enterprise")
    line.enters("mql", "10:20", owner="grace@sales.example", team="inside")
    assert (line.clock(entry=3).owner, line.clock(entry=3).team) == ("grace@sales.example", "inside")


def test_a_clock_may_be_for_the_leads_of_some_owners_only() -> None:
    line = Timeline(ACCORD_TEXT.replace("{grade: {in: [A, B]}}", "{owner: ada@sales.example}"))
    line.enters("mql", "10:00", owner="grace@sales.example")
    assert line.said() == []
    line.enters("mql", "10:10", owner="ada@sales.example")
    assert line.said() == ["10:10 started"]


def test_a_clock_may_ask_for_the_stage_that_starts_it() -> None:
    line = Timeline(ACCORD_TEXT.replace("{grade: {in: [A, B]}}", "{stage: mql}"))
    line.enters("mql", "10:00")
    assert line.said() == ["10:00 started"]


def test_every_event_and_every_sweep_is_one_input_and_the_last_number_of_stages_is_remembered() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.records("10:10", "note")
    line.sweeps("10:45")
    assert line.lead is not None
    assert (line.lead.inputs, line.lead.after) == (3, 1)
    unnumbered = Received(NAMES, clock_time("10:50"), None, sales_recorded(clock_time("10:50")))
    lead = apply(line.lead, unnumbered, line.accords).lead
    assert (lead.inputs, lead.after) == (4, 1)


def test_the_id_of_a_sweep_derives_from_where_its_clock_stands() -> None:
    line = Timeline()
    line.enters("sql", "10:00")
    line.sweeps("11:00")
    line.snoozes("11:10", "11:20")
    paused = line.clock("deal")
    line.sweeps("11:20")
    resumed = line.clock("deal")
    expected = [derived_id(paused.clock_id, "tick", where) for where in ("1.1.1.1", "1.1.1.0")]
    assert [tick_id(paused), tick_id(resumed)] == expected
