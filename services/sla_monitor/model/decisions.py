"""The fold of sla_monitor: a lead's clocks after one more event of the line, or after a sweep (ACCORD.md "Clocks").

Every announcement of a clock is made at most once, so its id can derive from the clock, its type and its level alone.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from services.sla_monitor.model.ladder import due_at
from services.sla_monitor.model.promise import Promise, Terms
from services.sla_monitor.model.states import (
    RUNNING,
    Clock,
    ClockState,
    Decision,
    Input,
    Lead,
    Received,
    Tick,
)
from shared.agreement.clocks import clocks_starting, moment
from shared.agreement.compiled import CompiledAccord
from shared.agreement.rules import ClockRule
from shared.agreement.versions import Accords
from shared.events import sla
from shared.events.envelope import derived_id
from shared.events.lifecycle import LeadAssigned, SalesRecorded, Stage, StageChanged

CLOSING_STAGES: Final = frozenset({Stage.RECYCLED, Stage.DISQUALIFIED, Stage.CUSTOMER})


def announcement_id(event: sla.ClockEvent) -> UUID:
    """The same for the same announcement, however often it is decided."""
    level = "" if event.level is None else str(event.level)
    return derived_id(event.clock_id, event.TYPE, level)


def tick_id(clock: Clock) -> UUID:
    """The id of the sweep that finds this clock at this step of its ladder: it can happen only once."""
    return derived_id(clock.clock_id, "tick", str(clock.ladder_steps))


def fold(inputs: Iterable[Input], accords: Accords) -> Iterator[Decision]:
    """Every decision on a lead's whole history in its order; the last has the lead with all its clocks."""
    lead: Lead | None = None
    for given in inputs:
        decision = apply(lead, given, accords)
        lead = decision.lead
        yield decision


def apply(lead: Lead | None, given: Input, accords: Accords) -> Decision:
    """The one function that live steps, sweeps, replays and tests call."""
    if isinstance(given, Tick):
        if lead is None:
            raise LookupError(f"no lead {given.lead_id} to sweep")
        return _sweep(lead, given, accords)
    payload = given.payload
    known = lead or Lead(payload.lead_id)
    accord = accords.at(given.received_at, at_least=known.accord)
    known = known._replace(
        accord=accord.version, inputs=known.inputs + 1, after=given.seq or known.after, snapshot=payload.lead
    )
    if isinstance(payload, LeadAssigned):
        return Decision(_assign(known, payload), ())
    changing = _Changing(known, accords)
    if isinstance(payload, SalesRecorded):
        _record(changing, payload, given.received_at)
    else:
        _move(changing, payload, given, accord)
    return changing.decision()


def _sweep(lead: Lead, tick: Tick, accords: Accords) -> Decision:
    changing = _Changing(lead._replace(inputs=lead.inputs + 1), accords)
    promise = changing.promise(next(clock for clock in lead.clocks if clock.clock_id == tick.clock_id))
    while promise.clock.next_due_at is not None and promise.clock.next_due_at <= tick.until:
        promise.take_step(tick.at, is_lagging=tick.is_lagging)
    changing.keep(promise)
    return changing.decision()


def _assign(lead: Lead, assigned: LeadAssigned) -> Lead:
    """Running clocks follow the new owner; a breach stays with the owner who let it happen."""
    owner, team = assigned.owner, assigned.team
    clocks = (clock._replace(owner=owner, team=team) if clock.state in RUNNING else clock for clock in lead.clocks)
    return lead._replace(owner=owner, team=team, clocks=tuple(clocks))


def _record(changing: "_Changing", recorded: SalesRecorded, received_at: datetime) -> None:
    if recorded.ignored is not None:
        return
    lead = changing.lead
    latest = max(recorded.occurred_at, lead.touches.get(recorded.action, recorded.occurred_at))
    changing.lead = lead._replace(touches={**lead.touches, str(recorded.action): latest})
    changing.stop(recorded, received_at)


def _move(changing: "_Changing", moved: StageChanged, given: Received, accord: CompiledAccord) -> None:
    changing.lead = changing.lead._replace(
        stage=str(moved.to_stage),
        entry=moved.entry,
        owner=moved.owner if moved.owner is not None else changing.lead.owner,
        team=moved.team if moved.team is not None else changing.lead.team,
    )
    changing.stop(moved, given.received_at)
    if moved.to_stage in CLOSING_STAGES:
        changing.close(moved.occurred_at, given.received_at)
    if moved.implied:
        return
    facts = accord.facts(
        engagement=moved.engagement,
        fit=moved.fit,
        grade=moved.grade,
        stage=str(moved.to_stage),
        owner=moved.owner,
        lead=moved.lead,
    )
    for rule in clocks_starting(accord, str(moved.to_stage), facts):
        changing.start(rule, moved, given, accord)


class _Changing:
    """A lead while one input is applied to it, and what was decided so far."""

    def __init__(self, lead: Lead, accords: Accords) -> None:
        self.lead = lead
        self._accords = accords
        self._clocks = {clock.clock_id: clock for clock in lead.clocks}
        self._announcements: list[sla.ClockEvent] = []

    def decision(self) -> Decision:
        return Decision(self.lead._replace(clocks=tuple(self._clocks.values())), self._announcements)

    def promise(self, clock: Clock) -> Promise:
        accord = self._accords.version(clock.accord)
        return Promise(Terms(accord, accord.clock_rule(clock.rule), self.lead), clock)

    def keep(self, promise: Promise) -> None:
        self._clocks[promise.clock.clock_id] = promise.clock
        self._announcements.extend(promise.announcements)

    def stop(self, payload: StageChanged | SalesRecorded, received_at: datetime) -> None:
        """The action counts for every clock that it stops."""
        action = payload.action
        if action is None:
            return
        for clock in tuple(self._clocks.values()):
            promise = self.promise(clock)
            if action in promise.terms.rule.stops:
                promise.stop(payload.occurred_at, received_at)
                self.keep(promise)

    def close(self, occurred_at: datetime, received_at: datetime) -> None:
        for clock in tuple(self._clocks.values()):
            promise = self.promise(clock)
            promise.close(occurred_at, received_at)
            self.keep(promise)

    def start(self, rule: ClockRule, moved: StageChanged, given: Received, accord: CompiledAccord) -> None:
        started_at = moved.occurred_at
        deadline = moment(accord, rule, started_at, 1.0)
        is_late = moved.historical or deadline < given.received_at
        clock = Clock(
            lead_id=moved.lead_id,
            clock_id=uuid5(given.event_id, rule.id),
            rule=rule.id,
            attempt=1,
            accord=accord.version,
            entry=moved.entry,
            state=ClockState.LATE_START if is_late else ClockState.OPEN,
            owner=self.lead.owner,
            team=self.lead.team,
            started_at=started_at,
            deadline=deadline,
            ladder_steps=0,
            next_due_at=None if is_late else due_at(accord, rule, started_at, 0),
        )
        promise = self.promise(clock)
        promise.announce(sla.ClockStarted, started_at, late_start=is_late)
        touched = [self.lead.touches[stop] for stop in rule.stops if stop in self.lead.touches]
        for touched_at in sorted(touched):
            promise.stop(touched_at, given.received_at)
        self.keep(promise)
