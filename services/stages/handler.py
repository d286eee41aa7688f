"""One batch of scores and sales actions: load the leads, decide event by event, save, tell every transition.

Turns, loads and sticky values are rows that all partitions share. A first pass, on no rows, learns who is routed; a
second, on what stands there unlocked, which rows that takes; those are locked for the pass that counts. Others wait for
them until the commit, so most of a batch is written before. Most batches route nobody: they are one statement."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog

from services.stages.metrics import Metrics
from services.stages.model import (
    Batch,
    Decision,
    HistoryLine,
    Input,
    Routing,
    Rows,
    Score,
    State,
    Told,
    TransitionLine,
    apply,
    rows_of,
    told_id,
)
from shared.agreement.versions import Accords
from shared.clock import Clock
from shared.db.statement import Write, write_all
from shared.errors import Poison
from shared.events.codec import decode, describe
from shared.events.codec import event as make_event
from shared.events.envelope import Event, Outgoing, Record
from shared.events.lifecycle import LeadAssigned, LeadQualified, SalesRecorded, StageChanged
from shared.events.sales import SalesAction
from shared.events.score import ScoreChanged
from shared.events.topics import LIFECYCLE
from shared.stream.carrier import Transaction
from shared.stream.hot import HotStates

log = structlog.get_logger(component="stages")

_SCORE = msgspec.json.Decoder(Score)

Inputs = Sequence[tuple[Event, Input]]


class SignedAccords(Protocol):
    """The signed accords, as the step's own transaction sees them."""

    async def assume(self, transaction: Transaction) -> Accords: ...


class StagesStore(Protocol):
    """What this handler asks of its tables."""

    async def states(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, State]: ...
    async def outside(self, connection: Any, values: Collection[str]) -> Routing: ...
    async def lock(self, connection: Any, rows: Rows, *, again: bool) -> Routing: ...
    def save(self, batch: Batch) -> Sequence[Write]: ...


class StagesHandler:
    """Implements shared.stream.handler.Handler, for one partition."""

    def __init__(self, accords: SignedAccords, store: StagesStore, *, metrics: Metrics, clock: Clock) -> None:
        self._accords = accords
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._hot = HotStates[State]()

    def forget(self, lead_ids: Iterable[UUID]) -> None:
        """Leads that were erased."""
        self._hot.forget(lead_ids)

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        """The lifecycle events of a batch; most scores change nothing and tell nothing."""
        accords = await self._accords.assume(transaction)
        inputs = _inputs(records)
        if not inputs:
            return ()
        lead_ids = {event.key for event, _ in inputs}
        states = self._hot.take(transaction, lead_ids)
        if missing := lead_ids - states.keys():
            states |= await self._store.states(transaction.reader, missing)
        deciding = _Deciding(inputs, accords, states)
        deciding.decide()
        if deciding.routes_leads:
            connection = await transaction.open()
            if quiet := deciding.set_aside_quiet():
                await write_all(connection, self._store.save(quiet))
                self._hot.keep(transaction, quiet.states)
            await self._route(deciding, connection)
        batch, outgoing = deciding.result()
        transaction.add(*self._store.save(batch))
        self._hot.keep(transaction, batch.states)
        transaction.on_commit(lambda: self._count(batch, outgoing))
        return outgoing

    def _count(self, batch: Batch, outgoing: Iterable[Outgoing]) -> None:
        self._metrics.applied(batch, self._latencies(outgoing))
        for payload in batch.told:
            _log(payload)

    async def _route(self, deciding: "_Deciding", connection: Any) -> None:
        """Decides again on locked rows. Another round follows only if what was seen changed between look and lock."""
        outside = await self._store.outside(connection, deciding.rows.values)
        deciding.decide_again(outside)
        held, needed = Rows(), deciding.rows
        while (together := Rows.all_of((held, needed))) != held:
            locked = await self._store.lock(connection, together, again=held != Rows())
            held = together
            deciding.decide_again(locked._replace(absences=outside.absences))
            needed = deciding.rows

    def _latencies(self, outgoing: Iterable[Outgoing]) -> Iterator[float]:
        now = self._clock.now()
        for _, event in outgoing:
            if event.type == LeadQualified.TYPE:
                yield max(0.0, (now - event.received_at).total_seconds())


class _Deciding:
    """One batch on its way: later events see what earlier ones did, to their leads and to the rows."""

    def __init__(self, inputs: Inputs, accords: Accords, states: Mapping[UUID, State]) -> None:
        self._inputs = inputs
        self._accords = accords
        self._before = states
        self._decisions: list[Decision] = []
        self._routing = Routing()

    @property
    def routes_leads(self) -> bool:
        """Whether any decision depends on something outside its lead."""
        return any(map(_is_routed, self._decisions))

    @property
    def rows(self) -> Rows:
        """Those that the decisions so far depend on."""
        return Rows.all_of(
            rows_of(decision, self._accords.version(decision.state.accord), event.received_at)
            for (event, _), decision in zip(self._inputs, self._decisions, strict=True)
            if _is_routed(decision)
        )

    def decide(self) -> None:
        """Every input in order, on no rows at all."""
        states: dict[UUID, State] = {}
        self._decisions = [self._apply(states, event, item) for event, item in self._inputs]

    def decide_again(self, routing: Routing) -> None:
        """On these rows, for the leads that are routed: no other decision can come out differently."""
        routed = {decision.state.lead_id for decision in self._decisions if _is_routed(decision)}
        self._routing = routing
        states: dict[UUID, State] = {}
        for index, (event, item) in enumerate(self._inputs):
            if event.key in routed:
                self._decisions[index] = self._apply(states, event, item)

    def _apply(self, states: dict[UUID, State], event: Event, item: Input) -> Decision:
        lead_id, received_at = event.key, event.received_at
        state = states.get(lead_id) or self._before.get(lead_id) or State(lead_id)
        accord = self._accords.at(received_at, state.accord or None)
        decision = apply(state, item, received_at=received_at, accord=accord, routing=self._routing)
        states[lead_id], self._routing = decision.state, decision.routing
        return decision

    def set_aside_quiet(self) -> Batch | None:
        """What is saved of leads of whom nothing is told, most of a batch: they are decided. The others are left."""
        told = {decision.state.lead_id for decision in self._decisions if decision.payloads}
        quiet, rest = Batch({}, [], [], Routing(), [], {}), []
        for (event, item), decision in zip(self._inputs, self._decisions, strict=True):
            if event.key in told:
                rest.append(((event, item), decision))
            else:
                quiet.states[event.key] = decision.state
                quiet.history.append(_line(event, item, decision))
        self._inputs, self._decisions = [input for input, _ in rest], [decision for _, decision in rest]
        return quiet if quiet.history else None

    def result(self) -> tuple[Batch, list[Outgoing]]:
        """What is saved, and what is told."""
        given = Counter(decision.given for decision in self._decisions if decision.given is not None)
        batch = Batch({}, [], [], self._routing, [], given)
        outgoing: list[Outgoing] = []
        for (event, item), decision in zip(self._inputs, self._decisions, strict=True):
            batch.states[event.key] = decision.state
            batch.history.append(_line(event, item, decision))
            for payload in decision.payloads:
                told = _event(event, payload, decision.state.accord)
                outgoing.append(Outgoing(LIFECYCLE, told))
                if isinstance(payload, StageChanged):
                    batch.transitions.append(TransitionLine(told.id, event.id, payload))
            batch.told.extend(decision.payloads)
        return batch, outgoing


def _line(event: Event, item: Input, decision: Decision) -> HistoryLine:
    body = event.value if isinstance(item, SalesAction) else None
    number, stamp, ignored = decision.state.number, decision.stamp, decision.ignored
    return HistoryLine(event.key, event.id, number, event.received_at, body, stamp, ignored)


def _log(payload: Told) -> None:
    """What people may have to act on is said at once; the ordinary course of things only to who looks closer."""
    lead_id = str(payload.lead_id)
    if isinstance(payload, SalesRecorded) and payload.ignored is not None:
        log.info("sales_action_ignored", lead_id=lead_id, sales_action=payload.action, reason=payload.ignored)
    elif isinstance(payload, LeadAssigned) and payload.owner is None:
        passed_over = [passed.why for passed in payload.passed_over]
        log.info("lead_unassigned", lead_id=lead_id, team=payload.team, reason=payload.why, passed_over=passed_over)
    elif isinstance(payload, LeadAssigned):
        log.debug("lead_assigned", lead_id=lead_id, team=payload.team, reason=payload.why)
    elif isinstance(payload, StageChanged):
        log.debug("stage_changed", lead_id=lead_id, to=payload.to_stage, version=payload.version, reason=payload.why)


def _is_routed(decision: Decision) -> bool:
    return decision.stamp is not None or decision.given is not None


def _inputs(records: Iterable[Record]) -> Inputs:
    """What stages reads of a batch; the second of two equal events is dropped."""
    inputs: dict[tuple[UUID, UUID], tuple[Event, Input]] = {}
    for record in records:
        event = record.event
        item = _read(event)
        if item is not None:
            inputs.setdefault((event.key, event.id), (event, item))
    return list(inputs.values())


def _read(event: Event) -> Input | None:
    if event.type != ScoreChanged.TYPE:
        item = decode(event)
        if not isinstance(item, SalesAction):
            return None
        if item.lead_id != event.key:
            raise Poison(f"{event.type}: lead_id is not the key of its event")
        return item
    # The busiest event of the house: only what is asked of it is read.
    try:
        return _SCORE.decode(event.value)
    except msgspec.DecodeError as error:
        raise Poison(f"{event.type}: {describe(error)}") from None


def _event(cause: Event, payload: Told, accord: int) -> Event:
    return make_event(
        payload,
        id=told_id(cause.id, payload),
        time=payload.occurred_at,
        received_at=cause.received_at,
        accord=accord,
        cause=cause.id,
        traceparent=cause.traceparent,
    )
