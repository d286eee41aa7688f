"""A lead's life through the folds of stages and sla_monitor, with a line between them that lags: random scores, actions
that are late, snoozes, owners who come and go, sweeps at any time. Whatever happens, no clock is ever wrong."""

from collections import Counter, deque
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from line_builders import ADA as LEAD_ID
from line_builders import START, accords_of, sales_action

from services.sla_monitor.model import decisions as sla
from services.sla_monitor.model.states import Clock, ClockState, Effect, Input, Lead, Received, Tick
from services.stages import model as stages
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import load_accord
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import LeadQualified, SalesRecorded, StageChanged
from shared.events.sales import Action, SalesAction
from shared.events.sla import ClockEvent

ACCORD = """
accord: 1
name: Fast
calendar: {timezone: UTC, hours: {mon: ["15:00-16:00", "16:10-18:00"]}}
scoring: {engagement: {half_life: never, rules: []}, fit: {rules: [], grades: {}}}
stages: {mql: {engagement: {gte: 40}}, rejection_reasons: {no_budget: recycled}}
routing:
  teams: {all: [{owner: ada, weight: 2}, {owner: grace}, {owner: linus}]}
  rules: [{team: all}]
  managers: {all: boss}
sla:
  clocks:
    - id: contact
      starts: mql
      stops: [contacted, rejected]
      within: 20m
      hours: business
      warn_at: 50%
      escalate: [{at: 100%, to: owner}, {at: 150%, to: owner, then: reassign}]
    - id: deal
      starts: sql
      stops: [opportunity.opened]
      within: 30m
      hours: always
      warn_at: 50%
      escalate: [{at: 300%, to: manager, then: recycle}]
      pauses_while: snoozed
"""
ACCORDS = accords_of(compile_accord(load_accord(ACCORD), 1))
NAMES = ("ada", "grace", "linus")
LASTING = frozenset({ClockState.MET, ClockState.VOIDED, ClockState.CANCELLED, ClockState.LATE_START})

minutes = st.integers(0, 25).map(lambda number: timedelta(minutes=number))


class ClocksLife(RuleBasedStateMachine):
    """`sales` and `lifecycle` are the topics; what lies on them was not read yet."""

    @initialize()
    def begin(self) -> None:
        self.now = START  # a Monday, 15:00
        self.state = stages.State(LEAD_ID)
        self.routing = stages.Routing()
        self.sales: deque[SalesAction] = deque()
        self.lifecycle: deque[Received] = deque()
        self.lead: Lead | None = None
        self.inputs: list[Input] = []
        self.announced: list[ClockEvent] = []
        self.effects: list[Effect] = []
        self.entered: dict[int, str] = {}
        self.touches: list[datetime] = []
        self.ended: dict[UUID, list[datetime]] = {}  # what a transition stopped, by the clocks that stood then
        self.last: dict[UUID, ClockState] = {}

    # What happens

    @rule(by=minutes)
    def time_passes(self, by: timedelta) -> None:
        self.now += by

    @rule(owner=st.sampled_from(NAMES), is_away=st.booleans())
    def an_owner_comes_or_goes(self, owner: str, is_away: bool) -> None:
        absences = {name: away for name, away in self.routing.absences.items() if name != owner}
        if is_away:
            absences[owner] = stages.Absence()
        self.routing = self.routing._replace(absences=absences)

    @rule(engagement=st.sampled_from([10, 50]), late=minutes)
    def a_score_comes(self, engagement: float, late: timedelta) -> None:
        received_at = max(START, self.now - late)
        score = stages.Score(
            engagement=engagement,
            fit=0,
            grade="D",
            activity="demo.requested",
            activity_received_at=received_at,
            lead=LeadSnapshot("x@maker.example"),
        )
        self.decide(uuid5(LEAD_ID, f"score {self.state.number}"), score, received_at)

    @rule(
        action=st.sampled_from([*Action, Action.CONTACTED, Action.CONTACTED, Action.SNOOZED, Action.QUALIFIED]),
        late=minutes,
        length=st.none() | st.integers(-5, 40),
    )
    def sales_acts(self, action: Action, late: timedelta, length: int | None) -> None:
        at = self.now - late
        until = None if length is None else at + timedelta(minutes=length)
        fields = {"reason": "no_budget", "until": until, "n": len(self.inputs) + len(self.sales) + self.state.number}
        self.sales.append(sales_action(action, at, lead_id=LEAD_ID, received_at=self.now, **fields))

    @rule(count=st.integers(1, 5))
    def stages_reads(self, count: int) -> None:
        for _ in range(min(count, len(self.sales))):
            action = self.sales.popleft()
            self.decide(action.id, action, action.received_at)

    @rule(count=st.integers(1, 8))
    def sla_monitor_reads(self, count: int) -> None:
        for _ in range(min(count, len(self.lifecycle))):
            self.apply(self.lifecycle.popleft())

    @rule()
    def everything_is_read(self) -> None:
        self.stages_reads(len(self.sales) or 1)
        self.sla_monitor_reads(len(self.lifecycle) or 1)

    @precondition(lambda self: not self.sales and not self.lifecycle)
    @rule()
    def what_is_due_is_swept(self) -> None:
        self.sweep(is_lagging=False)

    @rule(waited=minutes)
    def patience_ends(self, waited: timedelta) -> None:
        self.sweep(is_lagging=True, waited=waited)

    # How it is done

    def decide(self, event_id: UUID, item: stages.Input, received_at: datetime) -> None:
        decision = stages.apply(self.state, item, received_at=received_at, accord=ACCORDS.newest, routing=self.routing)
        self.state, absences = decision.state, self.routing.absences
        self.routing = decision.routing._replace(absences=absences)
        for payload in decision.payloads:
            if not isinstance(payload, LeadQualified):
                id = stages.told_id(event_id, payload)
                self.lifecycle.append(Received(id, received_at, None, payload, event_id))

    def apply(self, given: Input) -> None:
        self.inputs.append(given)
        self.lead, announced, effects = sla.apply(self.lead, given, ACCORDS)
        self.announced += announced
        self.effects += effects
        self.sales += [effect.action for effect in effects]
        if isinstance(given, Tick):
            assert not (given.is_lagging and effects)
            return
        payload = given.payload
        if isinstance(payload, StageChanged) and not payload.implied:
            self.entered[payload.entry] = payload.to_stage
        if isinstance(payload, SalesRecorded) and payload.action == "contacted" and payload.ignored is None:
            self.touches.append(payload.occurred_at)
        elif isinstance(payload, StageChanged) and payload.action == "rejected":
            for clock in self.clocks():
                self.ended.setdefault(clock.clock_id, []).append(payload.occurred_at)

    def sweep(self, *, is_lagging: bool, waited: timedelta = timedelta(0)) -> None:
        until, absent = self.now - waited, tuple(sorted(self.routing.absences))
        for clock in self.clocks():
            due = [clock.next_due_at, None if is_lagging else clock.then_due_at]
            if any(at is not None and at <= until for at in due):
                tick = Tick(sla.tick_id(clock), LEAD_ID, clock.clock_id, self.now, until, is_lagging, absent)
                assert tick.event_id not in {given.event_id for given in self.inputs}
                self.apply(tick)

    def clocks(self) -> tuple[Clock, ...]:
        return self.lead.clocks if self.lead is not None else ()

    # What must hold

    @invariant()
    def every_clock_has_its_stage_entry(self) -> None:
        for clock in self.clocks():
            assert self.entered[clock.entry] == {"contact": "mql", "deal": "sql"}[clock.rule]

    @invariant()
    def nothing_is_announced_twice(self) -> None:
        ids = Counter(sla.announcement_id(event) for event in self.announced)
        assert not [id for id, times in ids.items() if times > 1]

    @invariant()
    def no_clock_is_met_after_its_breach_and_what_is_over_stays_over(self) -> None:
        for clock in self.clocks():
            kinds = [event.TYPE.rpartition(".")[2] for event in self.announced if event.clock_id == clock.clock_id]
            assert kinds[0] == "started"
            assert not {"met", "breached"} <= set(kinds)
            assert ("breached" in kinds) == (clock.breached_at is not None)
            before = self.last.get(clock.clock_id)
            assert before not in LASTING or clock.state is before
            self.last[clock.clock_id] = clock.state

    @invariant()
    def a_stop_in_time_leaves_no_breach_and_nothing_else_does(self) -> None:
        for clock in self.clocks():
            if clock.rule != "contact" or clock.state is ClockState.LATE_START:
                continue
            heard = [*self.touches, *self.ended.get(clock.clock_id, ())]
            stops = [at for at in heard if at >= clock.started_at]
            in_time = any(at <= clock.deadline for at in stops)
            if in_time:
                assert clock.state in (ClockState.MET, ClockState.VOIDED, ClockState.CANCELLED)
            else:
                assert clock.state not in (ClockState.MET, ClockState.VOIDED)
            if clock.state is ClockState.RESOLVED:
                assert any(at > clock.deadline for at in stops)

    @invariant()
    def no_lead_is_passed_to_and_fro(self) -> None:
        attempts: dict[tuple[str, int], list[Clock]] = {}
        for clock in self.clocks():
            attempts.setdefault((clock.rule, clock.entry), []).append(clock)
        for clocks in attempts.values():
            clocks.sort(key=lambda clock: clock.attempt)
            assert [clock.attempt for clock in clocks] == list(range(1, len(clocks) + 1))
            for clock in clocks:
                assert len(clock.tried) == len(set(clock.tried))
            assert len(clocks) <= len(NAMES) + 1  # one more when people had handed the lead to somebody else
        sent = Counter((effect.action.if_stage_version, effect.action.if_owner) for effect in self.effects)
        assert all(times <= 2 for times in sent.values())

    @invariant()
    def what_stands_still_has_an_end_and_what_runs_has_a_next_moment(self) -> None:
        for clock in self.clocks():
            assert (clock.state is ClockState.PAUSED) == (clock.paused_until is not None)
            if clock.state in (ClockState.OPEN, ClockState.WARNED, ClockState.PAUSED):
                assert clock.next_due_at is not None
            elif clock.state is not ClockState.BREACHED:
                assert (clock.next_due_at, clock.then_due_at) == (None, None)

    def teardown(self) -> None:
        """The history alone gives it all again."""
        if getattr(self, "inputs", None):
            decisions = list(sla.fold(self.inputs, ACCORDS))
            assert decisions[-1].lead == self.lead
            assert [event for decision in decisions for event in decision.announcements] == self.announced
            assert [effect for decision in decisions for effect in decision.effects] == self.effects


TestClocksLife = ClocksLife.TestCase
TestClocksLife.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
