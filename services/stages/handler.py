"""One batch of scores and sales actions: load the leads, decide event by event, save, tell every transition.

Owners' turns and sticky values are rows that all partitions share. A first pass over the batch, on no rows at all,
learns which ones it needs; only those are locked, and the pass that counts runs on them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

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
)
from shared.agreement.versions import Accords
from shared.clock import Clock
from shared.errors import Poison
from shared.events.codec import decode, describe
from shared.events.codec import event as make_event
from shared.events.envelope import Event, Outgoing, Record, derived_id
from shared.events.lifecycle import LeadQualified, StageChanged
from shared.events.sales import SalesAction
from shared.events.score import ScoreChanged
from shared.events.topics import LIFECYCLE
from shared.stream.carrier import Transaction

_SCORE = TypeAdapter(Score)

Inputs = Sequence[tuple[Event, Input]]


class SignedAccords(Protocol):
    """Where the signed accords are read, in the step's own transaction."""

    async def refresh(self, connection: Any) -> Accords: ...


class StagesStore(Protocol):
    """What this handler asks of its tables."""

    async def states(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, State]: ...
    async def lock(self, connection: Any, teams: Collection[str], values: Collection[str]) -> Routing: ...
    async def save(self, connection: Any, batch: Batch) -> None: ...


class StagesHandler:
    """Implements shared.stream.handler.Handler."""

    def __init__(self, accords: SignedAccords, store: StagesStore, *, metrics: Metrics, clock: Clock) -> None:
        self._accords = accords
        self._store = store
        self._metrics = metrics
        self._clock = clock

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        """The lifecycle events of a batch; most scores change nothing and tell nothing."""
        connection = transaction.connection
        accords = await self._accords.refresh(connection)
        inputs = _inputs(records)
        if not inputs:
            return ()
        states = await self._store.states(connection, {event.key for event, _ in inputs})
        deciding = _Deciding(inputs, accords, states)
        teams, values = deciding.needs()
        # A sticky owner can bring in a team that wasn't needed before, so this may take a second round.
        while not (teams <= deciding.routing.turns.keys() and values <= deciding.locked_values):
            routing = await self._store.lock(connection, teams, values)
            deciding.again(routing, values)
            more_teams, more_values = deciding.needs()
            teams, values = teams | more_teams, values | more_values
        batch, outgoing = deciding.result()
        await self._store.save(connection, batch)
        self._metrics.applied(batch, self._latencies(outgoing))
        return outgoing

    def _latencies(self, outgoing: Iterable[Outgoing]) -> Iterator[float]:
        now = self._clock.now()
        for _, event in outgoing:
            if event.type == LeadQualified.TYPE:
                yield max(0.0, (now - event.received_at).total_seconds())


class _Pass:
    """One pass over a batch: later events see what earlier ones did, to their leads and to the turns."""

    def __init__(self, accords: Accords, states: Mapping[UUID, State], routing: Routing) -> None:
        self._accords = accords
        self._before = states
        self._routing = routing
        self._states: dict[UUID, State] = {}
        self._history: list[HistoryLine] = []
        self._transitions: list[TransitionLine] = []
        self.outgoing: list[Outgoing] = []
        self.teams: set[str] = set()
        self.values: set[str] = set()

    def over(self, inputs: Inputs) -> "_Pass":
        """Applies every input in order."""
        for event, item in inputs:
            lead_id, received_at = event.key, event.received_at
            state = self._states.get(lead_id) or self._before.get(lead_id) or State(lead_id)
            accord = self._accords.at(received_at, state.accord or None)
            decision = apply(state, item, received_at=received_at, accord=accord, routing=self._routing)
            self._states[lead_id] = decision.state
            body = event.value if isinstance(item, SalesAction) else None
            number, stamp, ignored = decision.state.number, decision.stamp, decision.ignored
            self._history.append(HistoryLine(lead_id, event.id, number, received_at, body, stamp, ignored))
            if decision.payloads:
                self._tell(event, decision)
        return self

    def batch(self) -> Batch:
        """What this pass leaves to be saved."""
        return Batch(self._states, self._history, self._transitions, self._routing)

    def _tell(self, cause: Event, decision: Decision) -> None:
        self._routing = decision.routing
        stamp = decision.stamp
        if stamp is not None and stamp.turn is not None and stamp.team is not None:
            self.teams.add(stamp.team)
        if stamp is not None and stamp.sticky_value is not None:
            self.values.add(stamp.sticky_value)
        for payload in decision.payloads:
            told = _event(cause, payload, decision.state.accord)
            self.outgoing.append(Outgoing(LIFECYCLE, told))
            if isinstance(payload, StageChanged):
                self._transitions.append(TransitionLine(told.id, cause.id, payload))


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
    # The busiest event of the house: as a typed dict it is read in half the time of a model.
    try:
        return _SCORE.validate_json(event.value)
    except ValidationError as error:
        raise Poison(f"{event.type}: {describe(error)}") from None


def _event(cause: Event, payload: Told, accord: int) -> Event:
    # Several transitions of one cause are told apart by the stage they lead to.
    discriminator = payload.to_stage if isinstance(payload, StageChanged) and payload.implied else ""
    return make_event(
        payload,
        id=derived_id(cause.id, payload.TYPE, discriminator),
        time=payload.occurred_at,
        received_at=cause.received_at,
        accord=accord,
        cause=cause.id,
        traceparent=cause.traceparent,
    )
