"""What escalations do: who is told by name, leads recycled and reassigned under a guard, and no ping-pong."""

from sla_builders import ACCORD_TEXT, Timeline, clock_time

from services.sla_monitor.model.decisions import fold
from services.sla_monitor.model.states import ClockState
from shared.events.sales import Action
from shared.events.sla import ClockEscalated, ClockEvent

ADA, GRACE, MANAGER = "ada@sales.example", "grace@sales.example", "em@sales.example"
LADDER = "{at: 100%, to: owner}, {at: 200%, to: manager, then: reassign}"
THREE = ACCORD_TEXT.replace(
    "{owner: grace@sales.example}]", "{owner: grace@sales.example}, {owner: linus@sales.example}]"
)


def breached(text: str = ACCORD_TEXT) -> Timeline:
    """A lead of Ada's whose first contact is overdue by almost as long as it was given."""
    line = Timeline(text)
    line.enters("mql", "10:00")
    line.assigned("10:00", ADA)
    line.sweeps("11:00")
    return line


def last_escalation(line: Timeline) -> ClockEvent:
    return [event for event in line.events if isinstance(event, ClockEscalated)][-1]


def test_an_escalation_names_the_owner_or_the_manager_of_the_team() -> None:
    line = breached()
    assert (last_escalation(line).to, last_escalation(line).whom) == ("owner", ADA)
    line.sweeps("12:00")
    told = last_escalation(line)
    assert (told.to, told.whom, told.then) == ("manager", MANAGER, "reassign")


def test_nobody_is_named_where_there_is_nobody() -> None:
    line = Timeline()
    line.enters("mql", "10:00")
    line.sweeps("12:00")
    assert [event.whom for event in line.events if isinstance(event, ClockEscalated)] == [None, None]


def test_reassign_is_sent_as_a_guarded_action_with_an_id_that_a_repeat_has_too() -> None:
    line = breached()
    line.sweeps("12:00")
    (effect,) = line.effects
    action = effect.action
    assert (action.action, action.owner, action.if_owner, action.if_stage_version) == (Action.ASSIGNED, None, ADA, 1)
    assert (action.source, action.actor, action.reason) == ("sla-monitor", "sla-monitor", "first-contact, level 2")
    assert action.occurred_at == action.received_at == clock_time("12:00")
    again = [effect for decision in fold(line.inputs, line.accords) for effect in decision.effects]
    assert again == line.effects


def test_a_reassign_starts_the_next_attempt_for_the_new_owner() -> None:
    line = breached()
    line.sweeps("12:00")
    line.reassigned("12:01", GRACE)
    second = line.clock(attempt=2)
    assert (second.owner, second.entry, second.started_at) == (GRACE, 1, clock_time("12:01"))
    assert second.deadline == clock_time("13:01")
    assert line.clock().owner == ADA
    line.records("12:30")
    assert line.clock().state is ClockState.RESOLVED
    assert second.clock_id in {event.clock_id for event in line.events if event.TYPE.endswith("met")}


def test_after_every_active_owner_had_an_attempt_only_the_manager_is_told() -> None:
    line = breached()
    line.sweeps("12:00")
    line.reassigned("12:00", GRACE)
    line.sweeps("14:00")
    told = last_escalation(line)
    assert (told.attempt, told.to, told.whom, told.then) == (2, "manager", MANAGER, None)
    assert len(line.effects) == 1


def test_an_owner_who_is_paused_is_no_active_one() -> None:
    line = breached()
    line.sweeps("12:00", absent=(GRACE,))
    assert line.effects == []
    assert last_escalation(line).then is None


def test_who_had_an_attempt_gets_no_other_and_is_named_to_routing() -> None:
    line = breached(THREE)
    line.sweeps("12:00")
    line.reassigned("12:00", GRACE)
    line.sweeps("14:00")
    assert line.effects[-1].action.if_owner == GRACE
    assert line.effects[-1].action.not_to == (ADA,)
    line.reassigned("14:00", ADA)  # routing did it all the same
    assert [clock.attempt for clock in line.lead.clocks if clock.rule == "first-contact"] == [1, 2]  # type: ignore[union-attr]


def test_a_lead_that_nobody_else_takes_starts_no_attempt() -> None:
    line = breached()
    line.sweeps("12:00")
    line.reassigned("12:00", None)
    assert [event.attempt for event in line.events if event.TYPE.endswith("started")] == [1]


def test_a_hand_over_by_people_starts_no_attempt() -> None:
    line = breached()
    line.sweeps("12:00")
    line.assigned("12:10", GRACE)
    assert [event.attempt for event in line.events if event.TYPE.endswith("started")] == [1]


def test_what_ends_the_escalation_before_stages_answers_ends_the_attempts() -> None:
    line = breached()
    line.sweeps("12:00")
    line.records("12:00")
    line.reassigned("12:01", GRACE)
    assert line.said()[-1] == "12:00 resolved"


def test_a_void_undoes_no_reassign() -> None:
    line = breached()
    line.sweeps("12:00")
    line.reassigned("12:00", GRACE)
    line.records("10:30", received="12:10")
    assert line.clock().state is ClockState.VOIDED
    assert line.clock(attempt=2).state is ClockState.OPEN


def test_while_the_line_lags_it_is_announced_and_carried_out_once_the_line_was_read() -> None:
    line = breached()
    line.sweeps("12:00", lagging=True)
    assert line.said()[-1] == "12:00 escalated 2"
    assert line.effects == []
    assert line.clock().then_due_at == clock_time("12:00")
    line.sweeps("12:05")
    assert [effect.action.occurred_at for effect in line.effects] == [clock_time("12:05")]
    assert line.clock().then_due_at is None
    line.sweeps("12:06")
    assert len(line.effects) == 1


def test_what_the_line_still_held_takes_back_what_was_not_carried_out_yet() -> None:
    line = breached()
    line.sweeps("12:00", lagging=True)
    line.records("11:30", received="12:01")
    line.sweeps("12:05")
    assert line.effects == []
    assert line.clock().state is ClockState.RESOLVED


def test_recycle_is_sent_whoever_owns_the_lead() -> None:
    line = Timeline()
    line.enters("sql", "10:00")
    line.assigned("10:00", ADA)
    line.sweeps("14:00")
    (effect,) = line.effects
    assert (effect.action.action, effect.action.if_owner, effect.action.if_stage_version) == (Action.RECYCLED, None, 1)


def test_recycle_is_sent_even_if_nobody_else_could_take_the_lead() -> None:
    line = Timeline()
    line.enters("sql", "10:00")
    line.assigned("10:00", ADA)
    line.sweeps("14:00", absent=(GRACE,))
    assert [effect.action.action for effect in line.effects] == [Action.RECYCLED]


def test_a_level_before_the_deadline_hands_the_running_promise_on() -> None:
    text = ACCORD_TEXT.replace(
        "{at: 100%, to: owner}, {at: 200%, to: manager, then: reassign}", "{at: 50%, to: owner, then: reassign}"
    )
    line = Timeline(text)
    line.enters("mql", "10:00")
    line.assigned("10:00", ADA)
    line.sweeps("10:30")
    line.reassigned("10:31", GRACE)
    assert (line.clock().state, line.clock().owner) == (ClockState.CANCELLED, ADA)
    assert line.clock(attempt=2).deadline == clock_time("11:31")


def test_a_warning_after_the_breach_leaves_it_a_breach() -> None:
    line = Timeline(ACCORD_TEXT.replace("warn_at: 75%", "warn_at: 150%"))
    line.enters("mql", "10:00")
    line.sweeps("11:30")
    assert line.said()[-1] == "11:30 warned"
    assert line.clock().state is ClockState.BREACHED


def test_a_level_for_the_owner_goes_to_the_manager_once_everybody_had_the_lead() -> None:
    line = Timeline(ACCORD_TEXT.replace(LADDER, "{at: 200%, to: owner, then: reassign}"))
    line.enters("mql", "10:00")
    line.assigned("10:00", ADA)
    line.sweeps("12:00", absent=(GRACE,))
    told = last_escalation(line)
    assert (told.to, told.whom, told.then) == ("manager", MANAGER, None)


def test_a_stop_that_came_before_the_sweep_announces_the_breach_and_carries_nothing_out() -> None:
    line = Timeline(ACCORD_TEXT.replace(LADDER, "{at: 100%, to: owner, then: reassign}"))
    line.enters("mql", "10:00")
    line.assigned("10:00", ADA)
    line.records("11:10")
    assert (last_escalation(line).to, last_escalation(line).then) == ("owner", None)
    line.sweeps("11:20")
    assert line.effects == []


def test_a_lead_that_left_before_stages_answered_starts_no_attempt() -> None:
    line = breached()
    line.sweeps("12:00")
    line.enters("recycled", "12:01", action="recycled")
    line.reassigned("12:02", GRACE)
    assert [event.attempt for event in line.events if event.TYPE.endswith("started")] == [1]


def test_what_was_announced_while_the_line_lagged_is_put_off_by_a_snooze_that_the_line_held() -> None:
    line = Timeline()
    line.enters("sql", "10:00")
    line.sweeps("14:00", lagging=True)
    line.snoozes("13:00", "15:00", received="14:01")
    line.sweeps("14:05")
    assert line.effects == []
    assert line.clock("deal").then_due_at == clock_time("16:00")
    line.sweeps("16:00")
    assert len(line.effects) == 1


def test_each_owner_of_the_team_has_one_attempt_in_turn() -> None:
    line = breached(THREE)
    for at, owner in (("12:00", GRACE), ("14:00", "linus@sales.example")):
        line.sweeps(at)
        line.reassigned(at, owner)
    line.sweeps("16:00")
    attempts = [(event.attempt, event.owner) for event in line.events if event.TYPE.endswith("breached")]
    assert attempts == [(1, ADA), (2, GRACE), (3, "linus@sales.example")]
    assert len(line.effects) == 2
