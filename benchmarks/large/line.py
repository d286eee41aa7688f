"""The line without its log: one crowd's events through the models of scoring, stages and sla_monitor, in the order of
time, with what sales does about it. Pure, but for the memory it holds: that of one crowd."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from benchmarks.large.prospects import Posted
from benchmarks.large.reps import Deed, Reps
from services.ingest.model import source_namespace
from services.scoring.handler import Scoring
from services.sla_monitor.model import decisions as clocks
from services.sla_monitor.model.states import Effect, HistoryEntry, Received, Tick
from services.sla_monitor.model.states import Lead as Watched
from services.stages import model as stages
from shared.agreement.versions import Accords
from shared.events.codec import event as make_event
from shared.events.envelope import Event, named_id
from shared.events.lifecycle import AssignmentReason, LeadAssigned, LeadQualified, SalesRecorded, StageChanged
from shared.events.sales import SalesAction
from shared.events.sla import ClockEvent
from shared.events.topics import ACTIVITY, LIFECYCLE, SALES, SCORE, SLA, partition_of

CRM: Final = "crm"
# So many turns of each team, and numbers of each partition, a crowd has for itself: crowds are made at the same time.
# What it doesn't need is passed over, as turns are of owners who can't be asked.
TURNS_PER_CROWD: Final = 1 << 14
NUMBERS_PER_CROWD: Final = 1 << 20
_SWEEP: Final = timedelta(milliseconds=30)  # from a deadline until its breach is announced
_SCORE: Final = msgspec.json.Decoder(stages.Score)


class Told(NamedTuple):
    """An event that delivery keeps, and who emitted it."""

    event: Event
    emitter: str
    partition: int


class CrowdSetting(NamedTuple):
    """Which crowd it is, what its lives are drawn from, and until when they are told."""

    number: int
    seed: int
    partitions: int
    until: datetime


class House:
    """What all services keep of one crowd."""

    def __init__(self, accords: Accords, crowd: CrowdSetting) -> None:
        self.scoring = Scoring(accords, {}, {})
        self.staged: dict[UUID, stages.State] = {}
        self.stages_history: list[stages.HistoryLine] = []
        self.transitions: list[stages.TransitionLine] = []
        self.given: Counter[stages.Load] = Counter()
        self.told_by_crm: list[tuple[UUID, datetime]] = []  # id and received
        self.watched: dict[UUID, Watched] = {}
        self.sla_history: list[HistoryEntry] = []
        self.announcements: list[ClockEvent] = []
        self.told: list[Told] = []
        self.emitted: Counter[tuple[str, str, int]] = Counter()  # by service, topic and partition
        self._accords = accords
        self._crowd = crowd
        teams = accords.newest.document.routing.teams
        self.routing = stages.Routing(turns=dict.fromkeys(teams, crowd.number * TURNS_PER_CROWD))
        random = Random(f"{crowd.seed}/{crowd.number}/sales")
        self._reps = Reps(random, accords.newest.calendar)
        self._agenda: list[tuple[datetime, int, Any]] = []
        self._count = 0
        self._swept: dict[UUID, datetime] = {}

    def live(self, posted: Iterable[Posted]) -> None:
        """From the first event to the crowd's end of time."""
        self._agenda = [(one.event.received_at, place, one) for place, one in enumerate(posted)]
        self._count = len(self._agenda)
        heapify(self._agenda)
        while self._agenda:
            at, _, what = heappop(self._agenda)
            if isinstance(what, Posted):
                self._score(what)
            elif isinstance(what, Event):
                self._sell(what)
            else:
                self._sweep(at, *what)

    def _plan(self, at: datetime, what: Any) -> None:
        """What lies after the end does not happen."""
        if at <= self._crowd.until:
            self._count += 1
            heappush(self._agenda, (at, self._count, what))

    def _score(self, posted: Posted) -> None:
        event, item = posted
        self.scoring.take(event, item)
        score = self.scoring.outgoing.pop().event
        self._count_emitted("ingest", ACTIVITY, event.key)
        self._count_emitted("scoring", SCORE, event.key)
        self._stage(score, _SCORE.decode(score.value))

    def _sell(self, event: Event) -> None:
        action = msgspec.json.decode(event.value, type=SalesAction)
        if action.source == CRM:
            self.told_by_crm.append((event.id, event.received_at))
        self._count_emitted("ingest" if action.source == CRM else "sla-monitor", SALES, event.key)
        self._stage(event, action)

    def _stage(self, event: Event, item: stages.Input) -> None:
        lead_id, received_at = event.key, event.received_at
        state = self.staged.get(lead_id) or stages.State(lead_id)
        accord = self._accords.at(received_at, state.accord or None)
        decision = stages.apply(state, item, received_at=received_at, accord=accord, routing=self.routing)
        after, self.staged[lead_id], self.routing = decision.state, decision.state, decision.routing
        body = event.value if isinstance(item, SalesAction) else None
        line = (lead_id, event.id, after.number, received_at, body, decision.stamp, decision.ignored)
        self.stages_history.append(stages.HistoryLine(*line))
        if decision.given is not None:
            self.given[decision.given] += 1
        for payload in decision.payloads:
            self._tell(event, payload, after.accord)

    def _tell(self, cause: Event, payload: stages.Told, accord: int) -> None:
        event = make_event(
            payload,
            id=stages.told_id(cause.id, payload),
            time=payload.occurred_at,
            received_at=cause.received_at,
            accord=accord,
            cause=cause.id,
        )
        number = self._keep(event, "stages", LIFECYCLE)
        if isinstance(payload, StageChanged):
            self.transitions.append(stages.TransitionLine(event.id, cause.id, payload))
        if isinstance(payload, (StageChanged, LeadAssigned, SalesRecorded)):
            self._watch(event, Received(event.id, event.received_at, number, payload, event.cause))
        if isinstance(payload, LeadQualified):
            self._answer(payload.lead_id, self._reps.react(payload.occurred_at, payload.owner))
        elif isinstance(payload, LeadAssigned) and payload.why is AssignmentReason.REASSIGNED:
            self._answer(payload.lead_id, self._reps.take_over(payload.occurred_at))

    def _answer(self, lead_id: UUID, deeds: Iterable[Deed]) -> None:
        """What sales will do, unless the end comes before. A CRM tells what it does in its order."""
        email = self.staged[lead_id].lead.email
        for place, (occurred_at, received_at, action, fields) in enumerate(deeds):
            version = self.staged[lead_id].version
            payload = SalesAction(
                lead_id=lead_id,
                id=named_id(source_namespace(CRM), f"{lead_id}/{version}/{self._count}/{place}"),
                action=action,
                occurred_at=occurred_at,
                received_at=received_at,
                source=CRM,
                actor=self.staged[lead_id].owner,
                identifiers={"email": email} if email else {},
                **fields,
            )
            self._plan(received_at, make_event(payload, id=payload.id, time=occurred_at, received_at=received_at))

    def _watch(self, event: Event, given: Received) -> None:
        lead, announced, effects = clocks.apply(self.watched.get(event.key), given, self._accords)
        self.sla_history.append(HistoryEntry(event.key, lead.inputs, given, event.value.decode()))
        self._announce(lead, given, announced, effects)

    def _sweep(self, at: datetime, lead_id: UUID, clock_id: UUID, due: datetime) -> None:
        """Unless the clock was stopped meanwhile, or its time was moved."""
        clock = next(clock for clock in self.watched[lead_id].clocks if clock.clock_id == clock_id)
        if clock.next_due_at != due:
            return
        tick = Tick(clocks.tick_id(clock), lead_id, clock_id, at, at)
        lead, announced, effects = clocks.apply(self.watched[lead_id], tick, self._accords)
        self.sla_history.append(HistoryEntry(lead_id, lead.inputs, tick))
        self._announce(lead, tick, announced, effects)

    def _announce(
        self, lead: Watched, given: Received | Tick, announced: Iterable[ClockEvent], effects: Iterable[Effect]
    ) -> None:
        self.watched[lead.lead_id] = lead
        received_at = given.at if isinstance(given, Tick) else given.received_at
        for payload in announced:
            event = make_event(
                payload,
                id=clocks.announcement_id(payload),
                time=payload.occurred_at,
                received_at=received_at,
                accord=payload.accord,
                cause=given.event_id,
                after=lead.after,
            )
            self.announcements.append(payload)
            self._keep(event, "sla-monitor", SLA)
        for cause, accord, action in effects:
            at = action.received_at
            sent = make_event(action, id=action.id, time=at, received_at=at, accord=accord, cause=cause)
            self._plan(at, sent)
        for clock in lead.clocks:
            due = clock.next_due_at
            if due is not None and self._swept.get(clock.clock_id) != due:
                self._swept[clock.clock_id] = due
                self._plan(max(due, received_at) + _SWEEP, (lead.lead_id, clock.clock_id, due))

    def _keep(self, event: Event, service: str, topic: str) -> int:
        """Puts the event where delivery reads it; its number."""
        partition = partition_of(event.key, self._crowd.partitions)
        self.told.append(Told(event, f"{service}/{partition}", partition))
        count = self._count_emitted(service, topic, event.key)
        return self._crowd.number * NUMBERS_PER_CROWD + count

    def _count_emitted(self, service: str, topic: str, lead_id: UUID) -> int:
        key = (service, topic, partition_of(lead_id, self._crowd.partitions))
        self.emitted[key] += 1
        return self.emitted[key]
