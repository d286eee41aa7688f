"""What one step does to the leads that it loaded: later events see what earlier ones did."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from uuid import UUID

from services.scoring.model import (
    Batch,
    Decision,
    Earned,
    HistoryLine,
    Input,
    Kept,
    LedgerLine,
    Past,
    Regranted,
    Rescore,
    State,
    Tally,
    decide_on,
    instant,
    moment_of,
    regrant,
    rescore,
    rescore_id,
)
from shared.agreement.compiled import CompiledAccord
from shared.agreement.versions import Accords
from shared.events.activity import Activity
from shared.events.codec import encode
from shared.events.envelope import Event, Outgoing, derived_id
from shared.events.score import ScoreChanged
from shared.events.topics import SCORE


class Scoring:
    """One batch on its way. `pasts` has the leads that are to be rescored in front of an event, and those with an event
    so late that their states don't suffice."""

    def __init__(self, accords: Accords, states: Mapping[UUID, State], pasts: Mapping[UUID, Past]) -> None:
        self.batch = Batch({}, [], Counter(), [], {})
        self.outgoing: list[Outgoing] = []
        self._accords = accords
        self._before = states
        self._pasts = pasts

    def take(self, event: Event, item: Input) -> None:
        """One live event, and in front of it what versions came into effect since the lead's last one."""
        lead_id, received_at = event.key, event.received_at
        state = self.batch.states.get(lead_id) or self._before.get(lead_id)
        past = self._pasts.get(lead_id)
        if state is None:
            state = _NEW
            self._join(self._accords.at(received_at))
        else:
            for accord in self._accords.since(state.accord, self._accords.at(received_at).version):
                assert past is not None, "whoever makes the batch looks which leads are rescored in it"
                regranted = regrant(past.done, accord)
                past.add(regranted.earned)
                state = self.rescore(lead_id, state, accord, regranted)
        decision = decide_on(state, event.id, item, received_at, accords=self._accords, past=past)
        self.batch.states[lead_id] = decision.state
        self._keep(event, item, decision)
        self._tell(event.id, event.received_at, lead_id, decision, event.traceparent)

    def rescore(self, lead_id: UUID, state: State, accord: CompiledAccord, regranted: Regranted) -> State:
        """The lead under the next version."""
        accords, version = self._accords, accord.version
        effective_at, before = accords.effective_at(version), accords.version(state.accord)
        decision, is_changed, qualifies_newly = rescore(
            state, regranted, accord, before=before, effective_at=effective_at
        )
        after, id = decision.state, rescore_id(version, lead_id)
        self.batch.states[lead_id] = after
        body = encode(Rescore(version=version))
        self.batch.history.append(HistoryLine(lead_id, id, after.number, "rescore", effective_at, body))
        self.batch.regranted.extend(ledger_lines(lead_id, decision.also))
        tally = self._tally(accord)
        tally.done += 1
        tally.changed += is_changed
        tally.newly_qualifying += qualifies_newly
        self._tell(id, effective_at, lead_id, decision, None)
        return after

    def _join(self, accord: CompiledAccord) -> None:
        """A lead that is new under this version will have to be rescored under every later one."""
        for later in self._accords.since(accord.version, self._accords.newest.version):
            self._tally(later).joined += 1

    def _tally(self, accord: CompiledAccord) -> Tally:
        version = accord.version
        if version not in self.batch.tallies:
            self.batch.tallies[version] = Tally(self._accords.before(version))
        return self.batch.tallies[version]

    def _keep(self, event: Event, item: Input, decision: Decision) -> None:
        id, _, lead_id, _, received_at, body = event[:6]
        state = decision.state
        if not isinstance(item, Activity):
            self.batch.history.append(HistoryLine(lead_id, id, state.number, "profile", received_at, body))
            return
        granted = None
        if decision.grants:
            grants = [(g["rule"], g["points"], g["withheld"], g["why"]) for g in decision.grants]
            kept = Kept(state.accord, instant(min(item.occurred_at, received_at)), item.type, grants)
            granted = encode(kept).decode()
            self.batch.granted.update([g["why"] for g in decision.grants])
        self.batch.history.append(HistoryLine(lead_id, id, state.number, "activity", received_at, body, granted))
        if decision.also:
            self.batch.regranted.extend(ledger_lines(lead_id, decision.also))

    def _tell(
        self, cause: UUID, received_at: datetime, lead_id: UUID, decision: Decision, traceparent: str | None
    ) -> None:
        score = decision.score
        score["lead_id"] = lead_id
        event = Event(
            derived_id(cause, ScoreChanged.TYPE),
            ScoreChanged.TYPE,
            lead_id,
            score["as_of"],
            received_at,
            encode(score),
            decision.state.accord,
            cause,
            None,
            traceparent,
        )
        self.outgoing.append(Outgoing(SCORE, event))


_NEW = State()


def ledger_lines(lead_id: UUID, earned: Iterable[Earned]) -> Iterator[LedgerLine]:
    """The ledger of what these activities were granted."""
    for (event_id, type, t, received, _), accord, grants in earned:
        at, received_at = moment_of(t), moment_of(received)
        for g in grants:
            yield LedgerLine(
                lead_id, event_id, at, received_at, g["points"], g["withheld"], accord, type, g["rule"], g["why"]
            )
