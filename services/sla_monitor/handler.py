"""One batch of lifecycle events, or one sweep, as a step: load the leads, fold, save, and say what to emit."""

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from services.sla_monitor.metrics import Metrics
from services.sla_monitor.model.decisions import announcement_id, apply
from services.sla_monitor.model.effects import REASSIGN
from services.sla_monitor.model.entries import Entry, Move, Place, entries_after, is_looked_at
from services.sla_monitor.model.ladder import ladder
from services.sla_monitor.model.states import Clock, Effect, HistoryEntry, Input, Lead, Received, Tick
from shared.agreement.compiled import CompiledAccord
from shared.agreement.snoozes import SNOOZES_MAX
from shared.agreement.versions import Accords
from shared.db.accord_book import AccordBook
from shared.db.statement import Write
from shared.errors import Poison
from shared.events import codec, sla, topics
from shared.events.envelope import Event, Outgoing, Record
from shared.events.lifecycle import LeadAssigned, SalesRecorded, StageChanged
from shared.events.sla import ClockEvent
from shared.stream.carrier import Transaction

log = structlog.get_logger(component="sla-monitor")

_STAGES: Final = "stages/"
_ACTED_ON: Final = (sla.ClockBreached, sla.ClockEscalated, sla.ClockVoided)


class NextDue:
    """When the next announcement of one partition is due, as far as its owner remembers; so that waiting for it costs
    no query. Handler and sweeper share it. It may be too early (a clock was stopped, a step rolled back), never too
    late: whoever finds it past asks the table. `then_at` is when the first of what was announced while the line lagged
    was due, and is still to be carried out."""

    def __init__(self) -> None:
        self.is_known = False
        self.at: datetime | None = None
        self.then_at: datetime | None = None

    @property
    def first(self) -> datetime | None:
        return _earlier(self.at, self.then_at)

    def forget(self) -> None:
        self.is_known, self.at, self.then_at = False, None, None

    def lower(self, at: datetime | None, then_at: datetime | None) -> None:
        """A clock with these moments may have been opened, or changed."""
        self.at = _earlier(self.at, at)
        self.then_at = _earlier(self.then_at, then_at)

    def learn(self, at: datetime | None, then_at: datetime | None) -> None:
        """The table's own answer."""
        self.is_known, self.at, self.then_at = True, at, then_at


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return other if one is None else one if other is None else min(one, other)


class Store(Protocol):
    """What a step needs of the tables."""

    async def load(self, connection: Any, lead_ids: Iterable[UUID]) -> dict[UUID, Lead]: ...

    def append(self, entries: Sequence[HistoryEntry]) -> Sequence[Write]: ...

    def save(self, partition: int, leads: Iterable[Lead], unchanged: Container[Clock]) -> Sequence[Write]: ...

    def save_announcements(self, announcements: Sequence[ClockEvent]) -> Sequence[Write]: ...


class PromiseStore(Protocol):
    """What a step needs of the tables of promises on many leads."""

    async def load_entries(self, connection: Any, lead_ids: Iterable[UUID]) -> dict[UUID, dict[Place, Entry]]: ...

    def save_moves(self, partition: int, moves: Sequence[Move]) -> Sequence[Write]: ...


class LeadStep:
    """What one transaction does to the leads it loads."""

    def __init__(self, store: Store, accords: Accords) -> None:
        self.effects: list[Effect] = []
        self.announcements: list[ClockEvent] = []
        self.leads: dict[UUID, Lead] = {}
        self._store = store
        self._accords = accords
        self._loaded: frozenset[Clock] = frozenset()
        self._history: list[HistoryEntry] = []
        self._told: list[Outgoing] = []
        self.moved: list[tuple[StageChanged, CompiledAccord]] = []  # under the version that applied to each
        self.withheld: Counter[str] = Counter()

    async def load(self, connection: Any, lead_ids: Iterable[UUID]) -> None:
        self.leads = await self._store.load(connection, lead_ids)
        self._loaded = frozenset(clock for lead in self.leads.values() for clock in lead.clocks)

    def clock(self, lead_id: UUID, clock_id: UUID) -> Clock:
        """One of the loaded leads' unsettled clocks."""
        return next(clock for clock in self.leads[lead_id].clocks if clock.clock_id == clock_id)

    def may_reassign(self, clock: Clock) -> bool:
        """Whether its ladder has such a level, so that it matters who is there."""
        rule = self._accords.version(clock.accord).clock_rule(clock.rule)
        return any(level.then == REASSIGN for level in rule.escalate)

    def apply_record(self, record: Record, given: Received) -> None:
        event = record.event
        lead = self._apply(event.key, given, event.received_at, event.traceparent)
        self._history.append(HistoryEntry(event.key, lead.inputs, given, event.value.decode()))
        if isinstance(given.payload, StageChanged) and lead.accord is not None:
            self.moved.append((given.payload, self._accords.version(lead.accord)))

    def apply_tick(self, tick: Tick) -> None:
        lead = self._apply(tick.lead_id, tick, tick.at, None)
        self._history.append(HistoryEntry(tick.lead_id, lead.inputs, tick))

    @property
    def outgoing(self) -> list[Outgoing]:
        """What is announced, and what is sent to sales."""
        return [*self._told, *(Outgoing(topics.SALES, _sent(effect)) for effect in self.effects)]

    def _withhold(self, announced: Iterable[ClockEvent]) -> None:
        """Counts by rule what clocks would have announced at the most, had their event not been historical."""
        for event in announced:
            if event.late_start:
                rule = self._accords.version(event.accord).clock_rule(event.rule)
                self.withheld[event.rule] += len(ladder(rule))

    def writes(self, partition: int) -> list[Write]:
        """All that changed. Refused with AlreadyApplied when the history has some of the inputs."""
        return [
            *self._store.append(self._history),
            *self._store.save(partition, self.leads.values(), self._loaded),
            *self._store.save_announcements(self.announcements),
        ]

    def _apply(self, lead_id: UUID, given: Input, received_at: datetime, traceparent: str | None) -> Lead:
        lead, announced, effects = apply(self.leads.get(lead_id), given, self._accords)
        self.leads[lead_id] = lead
        self.effects.extend(effects)
        self.announcements.extend(announced)
        if isinstance(given, Received) and isinstance(given.payload, StageChanged) and given.payload.historical:
            self._withhold(announced)
        for payload in announced:
            event = codec.event(
                payload,
                id=announcement_id(payload),
                time=payload.occurred_at,
                received_at=received_at,
                accord=payload.accord,
                cause=given.event_id,
                after=lead.after,
                traceparent=traceparent,
            )
            self._told.append(Outgoing(topics.SLA, event))
        return lead


class LifecycleHandler:
    """Implements `Handler` for one partition."""

    def __init__(
        self,
        *,
        partition: int,
        store: Store,
        promises: PromiseStore,
        accords: AccordBook,
        next_due: NextDue,
        metrics: Metrics,
    ) -> None:
        self._partition = partition
        self._store = store
        self._promises = promises
        self._accords = accords
        self._next_due = next_due
        self._metrics = metrics

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        inputs = _inputs(records)
        if not inputs:
            return ()
        accords = await self._accords.assume(transaction)
        step = LeadStep(self._store, accords)
        await step.load(transaction.reader, (record.event.key for record, _ in inputs))
        for record, given in inputs:
            step.apply_record(record, given)
        transaction.add(*step.writes(self._partition))
        moves = await self._counted(transaction.reader, step, accords)
        transaction.add(*self._promises.save_moves(self._partition, moves))
        for lead in step.leads.values():
            for clock in lead.clocks:
                self._next_due.lower(clock.next_due_at, clock.then_due_at)
        transaction.on_commit(lambda: tell(self._metrics, step))
        return step.outgoing

    async def _counted(self, connection: Any, step: LeadStep, accords: Accords) -> list[Move]:
        """What these changes of stages are for the promises on many leads."""
        moved = [(change, accord) for change, accord in step.moved if is_looked_at(change, accord, accords)]
        if not moved:
            return []
        known = await self._promises.load_entries(connection, {change.lead_id for change, _ in moved})
        moves: list[Move] = []
        for change, accord in moved:
            entries = known.setdefault(change.lead_id, {})
            found = entries_after(entries, change, accord, accords)
            entries.update({(move.entry.promise, move.entry.since): move.entry for move in found})
            moves += found
        return moves


def _inputs(records: Sequence[Record]) -> list[tuple[Record, Received]]:
    """The events that concern clocks, each once."""
    found: dict[UUID, tuple[Record, Received]] = {}
    for record in records:
        event = record.event
        payload = codec.decode(event)
        if not isinstance(payload, (StageChanged, LeadAssigned, SalesRecorded)) or event.id in found:
            continue
        if payload.lead_id != event.key:
            raise Poison(f"{event.type}: lead_id is not the key of its event")
        seq = record.seq if record.emitter is not None and record.emitter.startswith(_STAGES) else None
        found[event.id] = record, Received(event.id, event.received_at, seq, payload, event.cause)
    return list(found.values())


def _sent(effect: Effect) -> Event:
    action = effect.action
    return codec.event(
        action,
        id=action.id,
        time=action.occurred_at,
        received_at=action.received_at,
        accord=effect.accord,
        cause=effect.cause,
    )


def tell(metrics: Metrics, step: LeadStep) -> None:
    """Says in log and metrics what a committed step has decided."""
    _count(metrics, step)
    for event in step.announcements:
        _log(event)
    for effect in step.effects:
        log.info("sales_action_sent", lead_id=str(effect.action.lead_id), sales_action=effect.action.action)


def _count(metrics: Metrics, step: LeadStep) -> None:
    by_type = {
        sla.ClockStarted: metrics.started,
        sla.ClockWarned: metrics.warnings,
        sla.ClockMet: metrics.met,
        sla.ClockBreached: metrics.breaches,
        sla.ClockEscalated: metrics.escalations,
        sla.ClockResolved: metrics.resolved,
        sla.ClockVoided: metrics.voided,
        sla.ClockCancelled: metrics.cancelled,
        sla.ClockPaused: metrics.paused,
        sla.ClockResumed: metrics.resumed,
    }
    for event in step.announcements:
        counter = metrics.late_starts if event.late_start else by_type[type(event)]
        counter.labels(event.rule).inc()
        if isinstance(event, sla.ClockBreached):
            metrics.announcement_lateness.observe(event.lateness_seconds or 0.0)
        if event.pause == SNOOZES_MAX:
            metrics.pause_limit_reached.inc()
    for rule, alerts in step.withheld.items():
        metrics.withheld_alerts.labels(rule).inc(alerts)
    for effect in step.effects:
        metrics.effects.labels(effect.action.action.value).inc()


def _log(event: ClockEvent) -> None:
    """A broken promise, what it led to, and one that was taken back are said at once; what was kept only to who looks
    closer."""
    say = log.info if isinstance(event, _ACTED_ON) else log.debug
    about = {"lead_id": str(event.lead_id), "clock": event.rule, "team": event.team, "version": event.accord}
    if event.level is not None:
        about |= {"level": event.level, "to": event.to, "then": event.then}
    say(event.TYPE.removeprefix("accord.").replace(".", "_"), **about)
