"""A lead while one input is applied to it: what that does to each of its clocks, and which ones start."""

from datetime import datetime
from uuid import UUID, uuid5

from services.sla_monitor.model.promise import Promise, Terms
from services.sla_monitor.model.states import (
    RUNNING,
    UNSETTLED,
    Clock,
    ClockState,
    Decision,
    Effect,
    Lead,
    Received,
)
from shared.agreement.clocks import Pause, moment
from shared.agreement.compiled import CompiledAccord
from shared.agreement.rules import ClockRule
from shared.agreement.snoozes import added, touched
from shared.agreement.versions import Accords
from shared.events import sla
from shared.events.lifecycle import LeadAssigned, StageChanged
from shared.events.sales import Action


class Changing:
    """What was decided so far. `lead` may be changed between calls; its clocks are those kept here."""

    def __init__(self, lead: Lead, accords: Accords) -> None:
        self.lead = lead
        self._accords = accords
        self._clocks = {clock.clock_id: clock for clock in lead.clocks}
        self._announcements: list[sla.ClockEvent] = []
        self._effects: list[Effect] = []

    def decision(self) -> Decision:
        lead = self.lead._replace(clocks=tuple(self._clocks.values()))
        return Decision(lead, self._announcements, self._effects)

    def promise(self, clock: Clock) -> Promise:
        accord = self._accords.version(clock.accord)
        return Promise(Terms(accord, accord.clock_rule(clock.rule), self.lead), clock)

    def keep(self, promise: Promise) -> None:
        self._clocks[promise.clock.clock_id] = promise.clock
        self._announcements.extend(promise.announcements)
        self._effects.extend(promise.effects)

    def stop(
        self, action: Action | None, occurred_at: datetime, received_at: datetime, *, asked_by: UUID | None = None
    ) -> None:
        """The action counts for every clock that it stops; but what an escalation asked for (`asked_by`, the id of its
        action) is not what was promised."""
        for clock in tuple(self._clocks.values()):
            promise = self.promise(clock)
            if action in promise.terms.rule.stops and (asked_by is None or clock.reassigned_by != asked_by):
                promise.stop(occurred_at, received_at)
                self.keep(promise)

    def close(self, occurred_at: datetime, received_at: datetime) -> None:
        for clock in tuple(self._clocks.values()):
            promise = self.promise(clock)
            promise.close(occurred_at, received_at)
            self.keep(promise)

    def snooze(self, pause: Pause, received_at: datetime) -> None:
        """Every clock that pauses while the lead is snoozed counts nothing in this time."""
        for clock in self._pausing():
            if pause.to > clock.started_at:
                promise = self.promise(clock)
                promise.pause(added(clock.pauses, pause), pause.from_, received_at)
                self.keep(promise)

    def touch(self, occurred_at: datetime, received_at: datetime) -> None:
        """A touch ends every pause that it falls into."""
        for clock in self._pausing():
            promise = self.promise(clock)
            promise.pause(touched(clock.pauses, occurred_at), occurred_at, received_at)
            self.keep(promise)

    def hand_over(self) -> None:
        """Running clocks follow the owner of the lead."""
        owner, team = self.lead.owner, self.lead.team
        for clock in self._clocks.values():
            if clock.state in RUNNING:
                self._clocks[clock.clock_id] = clock._replace(owner=owner, team=team)

    def start(self, rule: ClockRule, moved: StageChanged, given: Received, accord: CompiledAccord) -> None:
        """The first attempt, on entering a stage."""
        clock = self._clock(rule, given, accord, moved)
        self._begin(clock._replace(entry=moved.entry), given, is_historical=moved.historical)

    def start_again(self, assigned: LeadAssigned, given: Received, accord: CompiledAccord) -> None:
        """The next attempt, for the owner that `then: reassign` of the last one found: unless that ended meanwhile, or
        this owner has had an attempt already."""
        last = next((clock for clock in self._clocks.values() if clock.reassigned_by == given.cause), None)
        if last is None or given.cause is None or assigned.owner is None:
            return
        had = (*last.tried, *((last.owner,) if last.owner is not None else ()))
        is_over = last.state not in RUNNING and last.state is not ClockState.BREACHED
        if is_over or last.closed_at is not None or assigned.owner in had:
            return
        present = _rule_of(accord, last)
        if present is None:  # the promise is no more: this one is kept as it was made
            accord, present = self._accords.version(last.accord), self.promise(last).terms.rule
        if last.state in RUNNING:
            promise = self.promise(last)
            promise.close(assigned.occurred_at, given.received_at)
            self.keep(promise)
        clock = self._clock(present, given, accord, assigned)
        self._begin(clock._replace(entry=last.entry, attempt=last.attempt + 1, tried=had), given)

    def _clock(
        self, rule: ClockRule, given: Received, accord: CompiledAccord, event: StageChanged | LeadAssigned
    ) -> Clock:
        started_at = event.occurred_at
        pauses = tuple(pause for pause in self.lead.snoozes if pause.to > started_at) if rule.pauses_while else ()
        deadline = moment(accord, rule, started_at, 1.0, pauses)
        return Clock(
            lead_id=event.lead_id,
            clock_id=uuid5(given.event_id, rule.id),
            rule=rule.id,
            attempt=1,
            accord=accord.version,
            entry=self.lead.entry,
            state=ClockState.OPEN,
            owner=self.lead.owner,
            team=self.lead.team,
            started_at=started_at,
            deadline=deadline,
            ladder_steps=0,
            next_due_at=None,
            pauses=pauses,
        )

    def _begin(self, clock: Clock, given: Received, *, is_historical: bool = False) -> None:
        is_late = is_historical or clock.deadline < given.received_at
        if is_late:
            clock = clock._replace(state=ClockState.LATE_START)
        promise = self.promise(clock)
        promise.announce(sla.ClockStarted, clock.started_at, late_start=is_late)
        promise.begin(given.received_at)
        stops = promise.terms.rule.stops
        for touched_at in sorted(at for stop in stops for at in self.lead.touches.get(stop, ())):
            promise.stop(touched_at, given.received_at)
        self.keep(promise)

    def _pausing(self) -> list[Clock]:
        """The clocks that a snooze can still change."""
        unsettled = [clock for clock in self._clocks.values() if clock.state in UNSETTLED]
        return [clock for clock in unsettled if self.promise(clock).terms.rule.pauses_while is not None]


def _rule_of(accord: CompiledAccord, clock: Clock) -> ClockRule | None:
    try:
        return accord.clock_rule(clock.rule)
    except KeyError:
        return None
