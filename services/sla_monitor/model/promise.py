"""One clock while it changes: met, warned, broken, resolved, voided or cancelled, and what is to be announced of it."""

from datetime import datetime
from typing import Any, NamedTuple

from services.sla_monitor.model.ladder import LadderStep, due_at, ladder
from services.sla_monitor.model.states import RUNNING, Clock, ClockState, Lead
from shared.agreement.clocks import elapsed
from shared.agreement.compiled import CompiledAccord
from shared.agreement.rules import ClockRule
from shared.events import sla


class Terms(NamedTuple):
    """What was promised, under which accord, to which lead."""

    accord: CompiledAccord
    rule: ClockRule
    lead: Lead


class Promise:
    """One clock while it changes, and what is to be announced of it."""

    def __init__(self, terms: Terms, clock: Clock) -> None:
        self.terms = terms
        self.clock = clock
        self.announcements: list[sla.ClockEvent] = []

    def stop(self, occurred_at: datetime, received_at: datetime) -> None:
        """What was promised was done at `occurred_at`; Accord heard of it at `received_at`."""
        clock = self.clock
        if occurred_at < clock.started_at:
            return
        in_time = occurred_at <= clock.deadline
        if clock.state in RUNNING and in_time:
            self._settle(ClockState.MET, met_at=occurred_at)
            self.announce(sla.ClockMet, occurred_at)
        elif clock.state in RUNNING:
            self._breach_overdue(received_at)
            self._resolve(occurred_at)
        elif clock.state in (ClockState.BREACHED, ClockState.RESOLVED) and in_time:
            self._settle(ClockState.VOIDED, voided_at=received_at)
            self.announce(sla.ClockVoided, received_at, counted_until=occurred_at)
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

    def take_step(self, at: datetime, *, is_lagging: bool = False) -> None:
        """Announces the next step of the ladder, `at` this time."""
        step, due = ladder(self.terms.rule)[self.clock.ladder_steps], self.clock.next_due_at
        assert due is not None
        lateness = max(0.0, (at - due).total_seconds())
        taken = self.clock.ladder_steps + 1
        next_due = due_at(self.terms.accord, self.terms.rule, self.clock.started_at, taken)
        self.clock = self.clock._replace(ladder_steps=taken, next_due_at=next_due)
        if step.kind == "warn":
            self.clock = self.clock._replace(state=ClockState.WARNED)
            self.announce(sla.ClockWarned, due, lateness_seconds=lateness, lagging=is_lagging)
        elif step.kind == "breach":
            self._breach(at, is_lagging=is_lagging)
        else:
            self._escalate(step, due, lateness_seconds=lateness, lagging=is_lagging)

    def announce(
        self, kind: type[sla.ClockEvent], occurred_at: datetime, *, counted_until: datetime | None = None, **more: Any
    ) -> None:
        clock, terms = self.clock, self.terms
        spent = elapsed(terms.accord, terms.rule, clock.started_at, counted_until or occurred_at)
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
            elapsed_seconds=spent.total_seconds(),
            owner=whose.owner,
            team=whose.team,
            lead=terms.lead.snapshot,
            **more,
        )
        self.announcements.append(event)

    def _settle(self, state: ClockState, **moments: Any) -> None:
        self.clock = self.clock._replace(state=state, next_due_at=None, **moments)

    def _resolve(self, occurred_at: datetime) -> None:
        self._settle(ClockState.RESOLVED, resolved_at=occurred_at)
        self.announce(sla.ClockResolved, occurred_at)

    def _breach(self, at: datetime, *, is_lagging: bool) -> None:
        deadline = self.clock.deadline
        lateness = max(0.0, (at - deadline).total_seconds())
        self.clock = self.clock._replace(
            state=ClockState.BREACHED,
            breached_at=deadline,
            announced_at=max(at, deadline),
            lateness_seconds=lateness,
            is_lagging=is_lagging,
        )
        self.announce(sla.ClockBreached, deadline, lateness_seconds=lateness, lagging=is_lagging)

    def _escalate(self, step: LadderStep, due: datetime, **more: Any) -> None:
        self.announce(sla.ClockEscalated, due, level=step.level, to=step.to, **more)

    def _breach_overdue(self, received_at: datetime) -> None:
        """An event from after the deadline came before the sweep: the breach, and the level that goes with it, are
        announced now; warnings and levels that nobody was told of in time are left out."""
        self._breach(received_at, is_lagging=False)
        lateness = self.clock.lateness_seconds
        for step in ladder(self.terms.rule)[self.clock.ladder_steps :]:
            if step.kind == "escalate" and step.share == 1.0:
                self._escalate(step, self.clock.deadline, lateness_seconds=lateness)
