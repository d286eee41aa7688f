"""One batch of activities and profile updates: load the leads, score event by event, save, tell every score."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from services.scoring.handler.batch import Scoring
from services.scoring.handler.desk import Desk, Progress, ScoringStore, SignedAccords
from services.scoring.metrics import Metrics
from services.scoring.model import HORIZON, Input, Past, State, instant, is_late, may_need_older
from shared.agreement.versions import Accords
from shared.errors import TooMuch
from shared.events.activity import Activity, ProfileUpdated
from shared.events.codec import decode
from shared.events.envelope import Event, Outgoing, Record
from shared.stream.carrier import Transaction

# So many inputs of histories one step may read to rescore leads. Reading, granting and writing as many takes about
# a tenth of a second; until then the events behind them wait.
INPUTS_MAX = 2_000

_Inputs = Sequence[tuple[Event, Input]]


class ScoringHandler:
    """Implements shared.stream.handler.Handler, for one partition."""

    def __init__(
        self, accords: SignedAccords, store: ScoringStore, progress: Progress, *, metrics: Metrics, desk: Desk
    ) -> None:
        self._accords = accords
        self._store = store
        self._progress = progress
        self._metrics = metrics
        self._desk = desk

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        """A score for every accepted activity and profile update, changed or not."""
        desk = self._desk
        desk.was_busy = True
        accords = await self._accords.assume(transaction)
        inputs = _inputs(records)
        if not inputs:
            return ()
        states = await desk.states(transaction, self._store, {event.key for event, _ in inputs})
        late = _late_leads(inputs, states, accords)
        overtaken, behind = _overtaken_leads(inputs, states, accords) if len(accords) > 1 else (set(), {})
        self._refuse_too_much(behind, states)
        pasts: dict[UUID, Past] = {}
        if asked := late | overtaken | behind.keys():
            pasts = await self._store.past(transaction.reader, asked)
        scoring = Scoring(accords, states, pasts)
        for event, item in inputs:
            scoring.take(event, item)
        batch = scoring.batch
        writes, saved = self._store.save(batch, desk.partition)
        transaction.add(*writes)
        if batch.tallies:
            transaction.add(self._progress.count(batch.tallies, desk.partition))
            desk.has_joined |= any(tally.joined for tally in batch.tallies.values())
        desk.hot.keep(transaction, saved)
        transaction.on_commit(lambda: self._metrics.applied(batch, late_leads=len(late)))
        return scoring.outgoing

    def _refuse_too_much(self, behind: Mapping[UUID, int], states: Mapping[UUID, State]) -> None:
        """Raises TooMuch if the leads to be rescored have longer histories than one step may read."""
        numbers = {lead_id: states[lead_id].number for lead_id in behind if lead_id in states}
        if sum(numbers.values()) <= INPUTS_MAX:
            return
        for lead_id, number in numbers.items():
            if number > INPUTS_MAX:
                self._desk.asked[lead_id] = behind[lead_id]
        raise TooMuch


def _inputs(records: Iterable[Record]) -> _Inputs:
    """What scoring reads of a batch; the second of two equal events is dropped."""
    inputs: dict[tuple[UUID, UUID], tuple[Event, Input]] = {}
    for record in records:
        event = record.event
        item = decode(event)
        if isinstance(item, (Activity, ProfileUpdated)):
            inputs.setdefault((event.key, event.id), (event, item))
    return list(inputs.values())


def _late_leads(inputs: _Inputs, states: Mapping[UUID, State], accords: Accords) -> set[UUID]:
    """Leads with an event so late that it may need what their states forgot, before this batch or in it."""
    received = [event.received_at for event, _ in inputs]
    newest = max([instant(max(received)), *(state.as_of for state in states.values())])
    oldest = min(min(received), min([item.occurred_at for _, item in inputs]))
    if instant(oldest) >= newest - HORIZON:
        return set()
    late: set[UUID] = set()
    for event, item in inputs:
        state = states.get(event.key)
        accord = accords.at(event.received_at, state.accord if state else None)
        if may_need_older(item, received_at=event.received_at, as_of=newest, accord=accord):
            late.add(event.key)
    return late


def _overtaken_leads(
    inputs: _Inputs, states: Mapping[UUID, State], accords: Accords
) -> tuple[set[UUID], dict[UUID, int]]:
    """Leads with an event of an earlier version than theirs, and leads to be rescored in front of one of a later, with
    the last such version."""
    overtaken: set[UUID] = set()
    behind: dict[UUID, int] = {}
    carried: dict[UUID, int] = {}
    for event, _ in inputs:
        lead_id, own = event.key, accords.at(event.received_at).version
        state = states.get(lead_id)
        version = carried.get(lead_id) or (state.accord if state else own)
        if accords.since(version, own):
            behind[lead_id] = version = own
        elif is_late(event.received_at, version, accords):
            overtaken.add(lead_id)
        carried[lead_id] = version
    return overtaken, behind
