"""One batch of scores and sales actions: load the leads, decide event by event, save, tell every transition.

Owners' turns and sticky values are rows that all partitions share. A first pass over the batch, on no rows at all,
learns which ones it needs; only those are locked, and the pass that counts runs on them. A batch that needs none, as
most do, is one statement.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec

from services.stages.metrics import Metrics
from services.stages.model import (
    Batch,
    Decision,
    HistoryLine,
    Input,
    Routing,
    Score,
    State,
    Told,
    TransitionLine,
    apply,
    told_id,
)
from shared.agreement.versions import Accords
from shared.clock import Clock
from shared.db.statement import Write
from shared.errors import Poison
from shared.events.codec import decode, describe
from shared.events.codec import event as make_event
from shared.events.envelope import Event, Outgoing, Record
from shared.events.lifecycle import LeadQualified, StageChanged
from shared.events.sales import SalesAction
from shared.events.score import ScoreChanged
from shared.events.topics import LIFECYCLE
from shared.stream.carrier import Transaction
from shared.stream.hot import HotStates

_SCORE = msgspec.json.Decoder(Score)

Inputs = Sequence[tuple[Event, Input]]


class SignedAccords(Protocol):
    """The signed accords, as the step's own transaction sees them."""

    async def assume(self, transaction: Transaction) -> Accords: ...


class StagesStore(Protocol):
    """What this handler asks of its tables."""

    async def states(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, State]: ...
    async def lock(self, connection: Any, teams: Collection[str], values: Collection[str]) -> Routing: ...
    def save(self, batch: Batch) -> Sequence[Write]: ...


class StagesHandler:
    """Implements shared.stream.handler.Handler, for one partition."""

    def __init__(self, accords: SignedAccords, store: StagesStore, *, metrics: Metrics, clock: Clock) -> None:
        self._accords = accords
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._hot = HotStates[State]()

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
        teams: set[str] = set()
        values: set[str] = set()
        # A sticky owner can bring in a team that wasn't needed before, so this may take a second round.
        while not (deciding.teams <= teams and deciding.values <= values):
            teams |= deciding.teams
            values |= deciding.values
            deciding.decide_again(await self._store.lock(await transaction.open(), teams, values))
        batch, outgoing = deciding.result()
        transaction.add(*self._store.save(batch))
        self._hot.keep(transaction, batch.states)
        transaction.on_commit(lambda: self._metrics.applied(batch, self._latencies(outgoing)))
        return outgoing

    def _latencies(self, outgoing: Iterable[Outgoing]) -> Iterator[float]:
        now = self._clock.now()
        for _, event in outgoing:
            if event.type == LeadQualified.TYPE:
                yield max(0.0, (now - event.received_at).total_seconds())


class _Deciding:
    """One batch on its way: later events see what earlier ones did, to their leads and to the turns.

    `teams` and `values` name the rows that the decisions so far depend on.
    """

    def __init__(self, inputs: Inputs, accords: Accords, states: Mapping[UUID, State]) -> None:
        self._inputs = inputs
        self._accords = accords
        self._before = states
        self._decisions: list[Decision] = []
        self._routing = Routing()
        self.teams: set[str] = set()
        self.values: set[str] = set()

    def decide(self) -> None:
        """Every input in order, on no rows at all."""
        states: dict[UUID, State] = {}
        for event, item in self._inputs:
            decision = self._apply(states, event, item)
            self._decisions.append(decision)
            self._note_rows(decision)

    def decide_again(self, routing: Routing) -> None:
        """Now on locked rows, for the leads that depend on some: no other decision can come out differently."""
        routed = {decision.state.lead_id for decision in self._decisions if _depends_on_rows(decision)}
        self._routing = routing
        states: dict[UUID, State] = {}
        for index, (event, item) in enumerate(self._inputs):
            if event.key in routed:
                self._decisions[index] = decision = self._apply(states, event, item)
                self._note_rows(decision)

    def _apply(self, states: dict[UUID, State], event: Event, item: Input) -> Decision:
        lead_id, received_at = event.key, event.received_at
        state = states.get(lead_id) or self._before.get(lead_id) or State(lead_id)
        accord = self._accords.at(received_at, state.accord or None)
        decision = apply(state, item, received_at=received_at, accord=accord, routing=self._routing)
        states[lead_id], self._routing = decision.state, decision.routing
        return decision

    def _note_rows(self, decision: Decision) -> None:
        stamp = decision.stamp
        if stamp is None:
            return
        if stamp.turn is not None and stamp.team is not None:
            self.teams.add(stamp.team)
        if stamp.sticky_value is not None:
            self.values.add(stamp.sticky_value)

    def result(self) -> tuple[Batch, list[Outgoing]]:
        """What is saved, and what is told."""
        batch = Batch({}, [], [], self._routing)
        outgoing: list[Outgoing] = []
        for (event, item), (state, payloads, _, stamp, ignored) in zip(self._inputs, self._decisions, strict=True):
            lead_id, body = event.key, event.value if isinstance(item, SalesAction) else None
            batch.states[lead_id] = state
            batch.history.append(HistoryLine(lead_id, event.id, state.number, event.received_at, body, stamp, ignored))
            for payload in payloads:
                told = _event(event, payload, state.accord)
                outgoing.append(Outgoing(LIFECYCLE, told))
                if isinstance(payload, StageChanged):
                    batch.transitions.append(TransitionLine(told.id, event.id, payload))
        return batch, outgoing


def _depends_on_rows(decision: Decision) -> bool:
    stamp = decision.stamp
    return stamp is not None and (stamp.turn is not None or stamp.sticky_value is not None)


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
        return item if isinstance(item, SalesAction) else None
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
