"""One batch of activities and profile updates: load the leads, score event by event, save, tell every score."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from services.scoring.metrics import Metrics
from services.scoring.model import (
    HORIZON,
    Batch,
    Decision,
    HistoryLine,
    Input,
    LedgerLine,
    Older,
    State,
    apply,
    instant,
    may_need_older,
)
from shared.agreement.versions import Accords
from shared.db.statement import Write
from shared.events.activity import Activity, ProfileUpdated
from shared.events.codec import decode, encode
from shared.events.envelope import Event, Outgoing, Record, derived_id
from shared.events.score import ScoreChanged
from shared.events.topics import SCORE
from shared.stream.carrier import Transaction
from shared.stream.hot import HotStates


class SignedAccords(Protocol):
    """The signed accords, as the step's own transaction sees them."""

    async def assume(self, transaction: Transaction) -> Accords: ...


class ScoringStore(Protocol):
    """What this handler asks of its tables."""

    async def states(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, State]: ...
    async def older(self, connection: Any, lead_ids: Collection[UUID]) -> dict[UUID, Older]: ...
    def save(self, batch: Batch) -> Write: ...


class ScoringHandler:
    """Implements shared.stream.handler.Handler, for one partition."""

    def __init__(self, accords: SignedAccords, store: ScoringStore, metrics: Metrics) -> None:
        self._accords = accords
        self._store = store
        self._metrics = metrics
        self._hot = HotStates[State]()

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        """A score for every accepted activity and profile update, changed or not."""
        accords = await self._accords.assume(transaction)
        inputs = _inputs(records)
        if not inputs:
            return ()
        lead_ids = {event.key for event, _ in inputs}
        states = self._hot.take(transaction, lead_ids)
        if missing := lead_ids - states.keys():
            states |= await self._store.states(transaction.reader, missing)
        late = _late_leads(inputs, states, accords)
        older = await self._store.older(transaction.reader, late) if late else {}
        scoring = _Scoring(accords, states, older)
        for event, item in inputs:
            scoring.take(event, item)
        transaction.add(self._store.save(scoring.batch))
        self._hot.keep(transaction, scoring.batch.states)
        transaction.on_commit(lambda: self._metrics.applied(scoring.batch, late_leads=len(late)))
        return scoring.outgoing


class _Scoring:
    """One batch on its way: later events see what earlier ones did."""

    def __init__(self, accords: Accords, states: dict[UUID, State], older: dict[UUID, Older]) -> None:
        self._accords = accords
        self._before = states
        self._older = older
        self.batch = Batch({}, [], [])
        self.outgoing: list[Outgoing] = []

    def take(self, event: Event, item: Input) -> None:
        lead_id, received_at = event.key, event.received_at
        states = self.batch.states
        state = states.get(lead_id) or self._before.get(lead_id) or _NEW
        accord = self._accords.at(received_at, state.accord or None)
        older = self._older.get(lead_id)
        decision = apply(state, item, received_at=received_at, accord=accord, older=older)
        states[lead_id] = decision.state
        if older is not None:
            older.remember(item, received_at, decision.grants)
        self._keep(event, item, decision)
        self.outgoing.append(Outgoing(SCORE, _score_event(event, decision)))

    def _keep(self, event: Event, item: Input, decision: Decision) -> None:
        id, _, lead_id, _, received_at, body = event[:6]
        state = decision.state
        if not isinstance(item, Activity):
            self.batch.history.append(HistoryLine(lead_id, id, state.number, "profile", received_at, body))
            return
        self.batch.history.append(HistoryLine(lead_id, id, state.number, "activity", received_at, body))
        at = min(item.occurred_at, received_at)
        lines = [
            LedgerLine(
                lead_id, id, at, received_at, g["points"], g["withheld"], state.accord, item.type, g["rule"], g["why"]
            )
            for g in decision.grants
        ]
        self.batch.ledger.extend(lines)


_NEW = State()


def _inputs(records: Iterable[Record]) -> list[tuple[Event, Input]]:
    """What scoring reads of a batch; the second of two equal events is dropped."""
    inputs: dict[tuple[UUID, UUID], tuple[Event, Input]] = {}
    for record in records:
        event = record.event
        item = decode(event)
        if isinstance(item, (Activity, ProfileUpdated)):
            inputs.setdefault((event.key, event.id), (event, item))
    return list(inputs.values())


def _late_leads(
    inputs: Iterable[tuple[Event, Input]], states: Mapping[UUID, State], accords: Accords
) -> Collection[UUID]:
    """Leads with an event so late that it may need what their states forgot, before this batch or in it."""
    received = [event.received_at for event, _ in inputs]
    newest = max([instant(max(received)), *(state.as_of for state in states.values())])
    oldest = min(min(received), min([item.occurred_at for _, item in inputs]))
    if instant(oldest) >= newest - HORIZON:
        return ()
    late: set[UUID] = set()
    for event, item in inputs:
        accord = accords.at(event.received_at, states.get(event.key, _NEW).accord or None)
        if may_need_older(item, received_at=event.received_at, as_of=newest, accord=accord):
            late.add(event.key)
    return late


def _score_event(cause: Event, decision: Decision) -> Event:
    score = decision.score
    score["lead_id"] = cause.key
    return Event(
        derived_id(cause.id, ScoreChanged.TYPE),
        ScoreChanged.TYPE,
        cause.key,
        score["as_of"],
        cause.received_at,
        encode(score),
        decision.state.accord,
        cause.id,
        None,
        cause.traceparent,
    )
