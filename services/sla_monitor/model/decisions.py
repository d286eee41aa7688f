"""The fold of sla_monitor: a lead's clocks after one more event of the line, or after a sweep (ACCORD.md "Clocks").

Every announcement of a clock is made at most once, so its id can derive from the clock, its type and its level alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from services.sla_monitor.model.changing import Changing
from services.sla_monitor.model.states import Clock, Decision, Input, Lead, Received, Tick
from shared.agreement.clocks import clocks_starting
from shared.agreement.compiled import CompiledAccord
from shared.agreement.snoozes import latest, pause_of, touched
from shared.agreement.versions import Accords
from shared.events import sla
from shared.events.envelope import derived_id
from shared.events.lifecycle import AssignmentReason, LeadAssigned, SalesRecorded, Stage, StageChanged
from shared.events.sales import Action

# A lead that is routed on entering a stage was assigned by nobody.
_BY_AN_ACTION: Final = frozenset({AssignmentReason.HANDED_OVER, AssignmentReason.REASSIGNED})
TOUCHES_MAX: Final = 50  # remembered of a lead, of each action
CLOSING_STAGES: Final = frozenset({Stage.RECYCLED, Stage.DISQUALIFIED, Stage.CUSTOMER})


def announcement_id(event: sla.ClockEvent) -> UUID:
    """The same for the same announcement, however often it is decided."""
    number = event.level if event.pause is None else event.pause
    return derived_id(event.clock_id, event.TYPE, "" if number is None else str(number))


def tick_id(clock: Clock) -> UUID:
    """The id of the sweep that finds this clock as it stands: each one moves it on, so it can happen only once."""
    stands_at = (clock.ladder_steps, clock.then_steps, clock.pauses_told, int(clock.paused_until is not None))
    return derived_id(clock.clock_id, "tick", ".".join(map(str, stands_at)))


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
    changing = Changing(known, accords)
    if isinstance(payload, LeadAssigned):
        _assign(changing, payload, given, accord)
    elif isinstance(payload, SalesRecorded):
        _record(changing, payload, given.received_at)
    else:
        _move(changing, payload, given, accord)
    return changing.decision()


def _sweep(lead: Lead, tick: Tick, accords: Accords) -> Decision:
    changing = Changing(lead._replace(inputs=lead.inputs + 1), accords)
    promise = changing.promise(next(clock for clock in lead.clocks if clock.clock_id == tick.clock_id))
    promise.take_due(tick, accords.at(tick.at, at_least=lead.accord))
    changing.keep(promise)
    return changing.decision()


def _assign(changing: Changing, assigned: LeadAssigned, given: Received, accord: CompiledAccord) -> None:
    """Running clocks follow the new owner; a breach stays with the owner who let it happen."""
    changing.lead = changing.lead._replace(owner=assigned.owner, team=assigned.team)
    if assigned.why in _BY_AN_ACTION:
        changing.stop(Action.ASSIGNED, assigned.occurred_at, given.received_at, asked_by=given.cause)
    if assigned.why is AssignmentReason.REASSIGNED:
        changing.start_again(assigned, given, accord)
    changing.hand_over()


def _record(changing: Changing, recorded: SalesRecorded, received_at: datetime) -> None:
    if recorded.ignored is not None:
        return
    lead = changing.lead
    changing.lead = lead._replace(touches=_with(lead.touches, recorded.action, recorded.occurred_at))
    changing.stop(recorded.action, recorded.occurred_at, received_at)
    if recorded.action is Action.SNOOZED:
        _snooze(changing, recorded, received_at)
    elif recorded.action is Action.CONTACTED:
        lead = changing.lead
        changing.lead = lead._replace(snoozes=touched(lead.snoozes, recorded.occurred_at))
        changing.touch(recorded.occurred_at, received_at)


def _with(
    touches: Mapping[str, tuple[datetime, ...]], action: Action, at: datetime
) -> Mapping[str, tuple[datetime, ...]]:
    """With one more. Those that are pushed out are the oldest: they could matter only to an entry, or to a snooze, from
    before them that is heard of after so many later ones."""
    times = sorted((*touches.get(action, ()), at))[-TOUCHES_MAX:]
    return {**touches, str(action): tuple(times)}


def _snooze(changing: Changing, recorded: SalesRecorded, received_at: datetime) -> None:
    lead = changing.lead
    pause = pause_of(recorded.occurred_at, recorded.until, lead.touches.get(Action.CONTACTED, ()))
    if pause is None:
        return
    changing.lead = lead._replace(snoozes=latest((*lead.snoozes, pause)))
    changing.snooze(pause, received_at)


def _move(changing: Changing, moved: StageChanged, given: Received, accord: CompiledAccord) -> None:
    changing.lead = changing.lead._replace(
        stage=str(moved.to_stage),
        entry=moved.entry,
        owner=moved.owner if moved.owner is not None else changing.lead.owner,
        team=moved.team if moved.team is not None else changing.lead.team,
    )
    changing.stop(moved.action, moved.occurred_at, given.received_at)
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
