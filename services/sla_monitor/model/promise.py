"""One clock while it changes: met, warned, broken, resolved, voided, cancelled, and what is to be announced of it."""

from collections.abc import Container
from datetime import datetime
from typing import Any, NamedTuple

from services.sla_monitor.model import effects
from services.sla_monitor.model.ladder import LadderStep, ladder
from services.sla_monitor.model.states import RUNNING, Clock, ClockState, Effect, Lead, Tick
from shared.agreement.clocks import Pause, elapsed, joined, moment
from shared.agreement.compiled import CompiledAccord
from shared.agreement.rules import ClockRule
from shared.agreement.snoozes import pause_at
from shared.events import sla

_STANDING = frozenset({ClockState.BREACHED, ClockState.RESOLVED})


class Terms(NamedTuple):
    """What was promised, under which accord, to which lead."""

    accord: CompiledAccord
    rule: ClockRule
    lead: Lead


class Promise:
    """One clock while it changes, what is to be announced of it, and what is sent back to sales."""

    def __init__(self, terms: Terms, clock: Clock) -> None:
        self.terms = terms
        self.clock = clock
        self.announcements: list[sla.ClockEvent] = []
        self.effects: list[Effect] = []

    def begin(self, received_at: datetime) -> None:
        """Its first moments; one that starts while the lead is snoozed stands still at once."""
        if self.clock.state in RUNNING:
            self._tell_pause(self.clock.started_at, received_at, is_longer=False)

    def stop(self, occurred_at: datetime, received_at: datetime) -> None:
        """What was promised was done at `occurred_at`; Accord heard of it at `received_at`."""
        clock = self.clock
        if occurred_at < clock.started_at:
            return
        in_time = occurred_at <= clock.deadline
        if clock.state in RUNNING and in_time:
            self._settle(ClockState.MET, met_at=occurred_at, response_seconds=self._spent(occurred_at))
            self.announce(sla.ClockMet, occurred_at)
        elif clock.state in RUNNING:
            self._breach_overdue(received_at)
            self._resolve(occurred_at)
        elif clock.state in _STANDING and in_time:
            self._void(occurred_at, received_at)
        elif clock.state is ClockState.BREACHED and clock.closed_at is None:
            self._resolve(occurred_at)

    def close(self, occurred_at: datetime, received_at: datetime) -> None:
        """The lead left the line. A promise that was not yet due is cancelled; a broken one stays broken."""
        clock = self.clock
        if clock.state in RUNNING and occurred_at <= clock.deadline:
            self._settle(ClockState.CANCELLED, closed_at=occurred_at)
            self.announce(sla.ClockCancelled, occurred_at)
        elif clock.state in RUNNING:
            self._breach_overdue(received_at)
            self._settle(ClockState.BREACHED, closed_at=occurred_at)
        elif clock.state is ClockState.BREACHED and clock.closed_at is None:
            self._settle(ClockState.BREACHED, closed_at=occurred_at)

    def pause(self, pauses: tuple[Pause, ...], occurred_at: datetime, received_at: datetime) -> None:
        """The time in which it stands still is now this: because of a snooze, or of the touch that ended one."""
        if pauses == self.clock.pauses:
            return
        before = self.clock.deadline
        self.clock = self.clock._replace(pauses=pauses)
        self.recount()
        if self.clock.state in RUNNING:
            self._tell_pause(occurred_at, received_at, is_longer=self.clock.deadline > before)
        elif self.clock.state is ClockState.RESOLVED:
            resolved_at = self.clock.resolved_at
            if resolved_at is not None and resolved_at <= self.clock.deadline:
                self._void(resolved_at, received_at)

    def recount(self) -> None:
        """Deadline and next moments, by the pauses that are known."""
        self.clock = self.clock._replace(deadline=self._moment(1.0))
        self._await_next()

    def take_due(self, tick: Tick, routing: CompiledAccord) -> None:
        """Announces all that is due, and carries it out unless the line lags. `routing` is the accord of now, which
        says who is an active owner."""
        while (due := self.clock.next_due_at) is not None and due <= tick.until:
            if due == self.clock.paused_until:
                self._resume(due, lateness_seconds=_seconds(due, tick.at))
            else:
                self._take_step(due, tick, has_successor=self._has_successor(routing, tick.absent))
            self._await_next()
        if not tick.is_lagging:
            self._carry_out(tick, routing)
        self._await_next()

    def announce(
        self, kind: type[sla.ClockEvent], occurred_at: datetime, *, counted_until: datetime | None = None, **more: Any
    ) -> None:
        clock, terms = self.clock, self.terms
        # An escalation reaches whoever owns the lead now; all else concerns the owner of the promise.
        whose = terms.lead if kind is sla.ClockEscalated else clock
        event = kind(
            lead_id=clock.lead_id,
            clock_id=clock.clock_id,
            rule=clock.rule,
            attempt=clock.attempt,
            accord=clock.accord,
            entry=clock.entry,
            started_at=clock.started_at,
            deadline=clock.deadline,
            occurred_at=occurred_at,
            elapsed_seconds=self._spent(counted_until or occurred_at),
            owner=whose.owner,
            team=whose.team,
            lead=terms.lead.snapshot,
            **more,
        )
        self.announcements.append(event)

    def _take_step(self, due: datetime, tick: Tick, *, has_successor: bool) -> None:
        step = ladder(self.terms.rule)[self.clock.ladder_steps]
        how: dict[str, Any] = {"lateness_seconds": _seconds(due, tick.at), "lagging": tick.is_lagging}
        self.clock = self.clock._replace(ladder_steps=self.clock.ladder_steps + 1)
        if step.kind == "warn":
            self._take_running_state()
            self.announce(sla.ClockWarned, due, **how)
        elif step.kind == "breach":
            self._breach(tick.at, is_lagging=tick.is_lagging)
        else:
            self._escalate(step, due, has_successor=has_successor, **how)

    def _carry_out(self, tick: Tick, routing: CompiledAccord) -> None:
        steps = ladder(self.terms.rule)
        while self.clock.then_steps < self.clock.ladder_steps:
            step = steps[self.clock.then_steps]
            if step.then is not None:
                if self._moment(step.share) > tick.until:
                    return
                if step.then != effects.REASSIGN or self._has_successor(routing, tick.absent):
                    self._send(step, tick.at)
            self.clock = self.clock._replace(then_steps=self.clock.then_steps + 1)

    def _send(self, step: LadderStep, at: datetime) -> None:
        effect = effects.effect(self.clock, step, at)
        self.effects.append(effect)
        if step.then == effects.REASSIGN:
            self.clock = self.clock._replace(reassigned_by=effect.action.id)

    def _has_successor(self, routing: CompiledAccord, absent: Container[str]) -> bool:
        return effects.has_successor(self.clock, self.terms.lead.team, routing, absent)

    def _settle(self, state: ClockState, **moments: Any) -> None:
        over = self.clock._replace(state=state, next_due_at=None, then_due_at=None, paused_until=None)
        self.clock = over._replace(**moments)

    def _resolve(self, occurred_at: datetime) -> None:
        self._settle(ClockState.RESOLVED, resolved_at=occurred_at, response_seconds=self._spent(occurred_at))
        self.announce(sla.ClockResolved, occurred_at)

    def _void(self, occurred_at: datetime, received_at: datetime) -> None:
        self._settle(ClockState.VOIDED, voided_at=received_at, response_seconds=self._spent(occurred_at))
        self.announce(sla.ClockVoided, received_at, counted_until=occurred_at)

    def _breach(self, at: datetime, *, is_lagging: bool) -> None:
        deadline = self.clock.deadline
        lateness = _seconds(deadline, at)
        self.clock = self.clock._replace(
            state=ClockState.BREACHED,
            breached_at=deadline,
            announced_at=max(at, deadline),
            lateness_seconds=lateness,
            is_lagging=is_lagging,
            paused_until=None,
        )
        self.announce(sla.ClockBreached, deadline, lateness_seconds=lateness, lagging=is_lagging)

    def _escalate(self, step: LadderStep, due: datetime, *, has_successor: bool, **more: Any) -> None:
        lead = self.terms.lead
        manager = self.terms.accord.manager(lead.team) if lead.team is not None else None
        told = effects.told(step, owner=lead.owner, manager=manager, has_successor=has_successor)
        self.announce(sla.ClockEscalated, due, level=step.level, **told._asdict(), **more)

    def _breach_overdue(self, received_at: datetime) -> None:
        """An event from after the deadline came before the sweep: the breach, and who is told with it, are announced
        now. Warnings and levels that nobody was told of in time are left out, and nothing more is done."""
        self._breach(received_at, is_lagging=False)
        lateness = self.clock.lateness_seconds
        for step in ladder(self.terms.rule)[self.clock.ladder_steps :]:
            if step.kind == "escalate" and step.share == 1.0:
                told = step._replace(then=None)
                self._escalate(told, self.clock.deadline, has_successor=True, lateness_seconds=lateness)

    def _tell_pause(self, occurred_at: datetime, received_at: datetime, *, is_longer: bool) -> None:
        """Says that it stands still, or counts again; both of a snooze that was heard of when it was over."""
        clock = self.clock
        now = pause_at(clock.pauses, received_at, since=clock.started_at)
        if now is not None and now.from_ >= clock.deadline:
            now = None
        if now is not None and clock.paused_until is None:
            self._pause(max(occurred_at, clock.started_at), now.to)
        elif now is not None:
            self.clock = clock._replace(paused_until=now.to)
        elif clock.paused_until is not None:
            self._resume(joined(clock.pauses, since=clock.started_at)[-1].to)
        elif is_longer:
            over = pause_at(clock.pauses, max(occurred_at, clock.started_at), since=clock.started_at)
            assert over is not None
            self._pause(max(occurred_at, clock.started_at), over.to)
            self._resume(over.to)
        self._await_next()

    def _pause(self, at: datetime, until: datetime) -> None:
        self.clock = self.clock._replace(paused_until=until, pauses_told=self.clock.pauses_told + 1)
        self._take_running_state()
        self.announce(sla.ClockPaused, at, pause=self.clock.pauses_told, until=until)

    def _resume(self, at: datetime, *, lateness_seconds: float | None = None) -> None:
        self.clock = self.clock._replace(paused_until=None)
        self._take_running_state()
        self.announce(sla.ClockResumed, at, pause=self.clock.pauses_told, lateness_seconds=lateness_seconds)

    def _take_running_state(self) -> None:
        clock = self.clock
        if clock.state not in RUNNING:
            return
        is_warned = any(step.kind == "warn" for step in ladder(self.terms.rule)[: clock.ladder_steps])
        running = ClockState.WARNED if is_warned else ClockState.OPEN
        self.clock = clock._replace(state=ClockState.PAUSED if clock.paused_until is not None else running)

    def _await_next(self) -> None:
        """When something of it is due next."""
        clock, steps = self.clock, ladder(self.terms.rule)
        if clock.state not in RUNNING and not (clock.state is ClockState.BREACHED and clock.closed_at is None):
            return
        due = self._moment(steps[clock.ladder_steps].share) if clock.ladder_steps < len(steps) else None
        moments = [at for at in (due, clock.paused_until) if at is not None]
        pending = [step for step in steps[clock.then_steps : clock.ladder_steps] if step.then is not None]
        then_due = self._moment(pending[0].share) if pending else None
        self.clock = clock._replace(next_due_at=min(moments, default=None), then_due_at=then_due)

    def _moment(self, share: float) -> datetime:
        clock, terms = self.clock, self.terms
        return moment(terms.accord, terms.rule, clock.started_at, share, clock.pauses)

    def _spent(self, until: datetime) -> float:
        clock, terms = self.clock, self.terms
        return elapsed(terms.accord, terms.rule, clock.started_at, until, clock.pauses).total_seconds()


def _seconds(due: datetime, at: datetime) -> float:
    return max(0.0, (at - due).total_seconds())
