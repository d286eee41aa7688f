"""A lead's life as a state machine: random scores and actions, late and guarded ones, owners who come and go, a second
version of the accord. Whatever happens, what must hold of stages holds, and the history alone gives it all again."""

import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from agreement_builders import MINIMAL
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from line_builders import START, lead, sales_action
from stages_reference import ROWS, reference

from services.stages.model import Absence, Decision, HistoryRow, Routing, Score, State, Told, apply, fold
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import load_accord
from shared.agreement.versions import Accords
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import AssignmentReason, LeadAssigned, LeadQualified, SalesRecorded, StageChanged
from shared.events.sales import Action, SalesAction

COOL_DOWN = timedelta(days=3)
REJECTIONS = {"not_ready": "recycled", "competitor": "disqualified"}
NAMES = ("ada", "grace", "linus")
CAPACITY = 2
TEAMS = (
    {"sales": [{"owner": "ada", "weight": 2}, {"owner": "grace", "capacity": f"{CAPACITY}/d"}, {"owner": "linus"}]},
    {"sales": [{"owner": "grace", "capacity": f"{CAPACITY}/d"}, {"owner": "linus", "weight": 3}]},  # ada has left
)
# What a lead can pass from and to, by all rows of the table and by a score.
PASSAGES = {(from_, to) for _, (stages, to) in ROWS.items() for from_ in stages if to in {"lead", *REJECTIONS.values()}}
PASSAGES |= {("lead", "mql"), ("recycled", "mql"), ("mql", "sal"), ("sal", "sql"), ("sql", "opportunity")}
PASSAGES |= {("opportunity", "customer")}
PASSAGES |= {(from_, to) for from_ in ("mql", "sal") for to in REJECTIONS.values()}

leads = st.sampled_from(["one", "two", "three"])
moments = st.timedeltas(timedelta(0), timedelta(days=2))


def accords() -> Accords:
    versions = []
    for number, teams in enumerate(TEAMS):
        document = load_accord(MINIMAL).as_written()
        document |= {
            "stages": {"mql": {"engagement": {"gte": 40}}, "recycle": {"cool_down": "3d"}}
            | {"rejection_reasons": REJECTIONS},
            "routing": {"teams": teams, "rules": [{"team": "sales"}], "sticky": "company_domain"},
        }
        accord = compile_accord(load_accord(json.dumps(document)), number + 1)
        versions.append((START + timedelta(days=12 * number), accord))
    return Accords(versions)


ACCORDS = accords()


class LeadsLife(RuleBasedStateMachine):
    """Three leads of two companies, on rows that they share."""

    @initialize()
    def begin(self) -> None:
        self.now = START
        self.routing = Routing()
        self.states = {name: State(lead(name)) for name in ("one", "two", "three")}
        self.histories: dict[str, list[HistoryRow]] = {name: [] for name in self.states}
        self.told: dict[str, list[Told]] = {name: [] for name in self.states}
        self.given: Counter[tuple[str, Any]] = Counter()

    @rule(by=moments)
    def time_passes(self, by: timedelta) -> None:
        self.now += by

    @rule(owner=st.sampled_from(NAMES), absence=st.sampled_from(["none", "paused", "until", "gone"]))
    def an_owner_comes_or_goes(self, owner: str, absence: str) -> None:
        absences = {name: away for name, away in self.routing.absences.items() if name != owner}
        if absence != "none":
            until = self.now + timedelta(days=1) if absence == "until" else None
            absences[owner] = Absence(is_gone=absence == "gone", until=until)
        self.routing = self.routing._replace(absences=absences)

    @rule(
        who=leads,
        engagement=st.sampled_from([5, 39, 40, 90]),
        is_activity=st.booleans(),
        late=moments,
    )
    def a_score_comes(self, who: str, engagement: int, is_activity: bool, late: timedelta) -> None:
        received_at = max(START, self.now - late)
        domain = "maker.example" if who != "three" else "other.example"
        score = Score(
            engagement=engagement,
            fit=0,
            grade="D",
            activity="demo.requested" if is_activity else None,
            activity_received_at=received_at if is_activity else None,
            lead=LeadSnapshot(f"{who}@{domain}"),
        )
        before = self.states[who]
        decision = self.decide(who, score, received_at)
        qualifies = engagement >= 40 and (before.stage == "lead" or self.has_cooled_down(before, score))
        assert (decision.state.version > before.version) is qualifies
        assert any(isinstance(told, LeadQualified) for told in decision.payloads) is qualifies

    def has_cooled_down(self, state: State, score: Score) -> bool:
        if state.stage != "recycled" or state.entered_at is None or score.activity_received_at is None:
            return False
        return score.activity_received_at >= state.entered_at + COOL_DOWN

    @rule(
        who=leads,
        action=st.sampled_from(Action),
        reason=st.sampled_from([None, "because", *REJECTIONS]),
        owner=st.sampled_from([None, *NAMES, "boss"]),
        late=st.timedeltas(timedelta(days=-1), timedelta(days=4)),
    )
    def sales_acts(self, who: str, action: Action, reason: str | None, owner: str | None, late: timedelta) -> None:
        before = self.states[who]
        fields: dict[str, Any] = {"reason": reason, "owner": owner, "amount": 10.0, "n": before.number}
        event = sales_action(action, self.now - late, lead_id=lead(who), received_at=self.now, **fields)
        decision = self.decide(who, event, self.now)
        entered = [told.to_stage for told in decision.payloads if isinstance(told, StageChanged)]
        expected = reference(action, before.stage, REJECTIONS, reason)
        assert (decision.ignored or entered) == expected or decision.ignored == "nobody else is active"

    @rule(
        who=leads,
        is_stale=st.booleans(),
        action=st.sampled_from(["assigned", "recycled"]),
    )
    def a_clock_sends_an_action_back(self, who: str, is_stale: bool, action: str) -> None:
        before = self.states[who]
        guard: dict[str, Any] = {"if_stage_version": before.version - is_stale, "if_owner": before.owner}
        event = sales_action(action, self.now, lead_id=lead(who), n=before.number, **guard)
        decision = self.decide(who, event, self.now)
        assert (decision.ignored == "overtaken") is is_stale
        if decision.ignored is None and action == "assigned":
            assert decision.state.owner not in (None, before.owner)

    def decide(self, who: str, item: Score | SalesAction, received_at: datetime) -> Decision:
        before = self.states[who]
        accord = ACCORDS.at(received_at, before.accord or None)
        decision = apply(before, item, received_at=received_at, accord=accord, routing=self.routing)
        for told in decision.payloads:
            if isinstance(told, LeadAssigned):
                self.check_owner(told, received_at, decision)
        self.routing, self.states[who] = decision.routing, decision.state
        self.histories[who].append(HistoryRow(item, received_at, decision.stamp))
        self.told[who] += decision.payloads
        if decision.given is not None:
            self.given[decision.given] += 1
        if decision.ignored is not None:
            assert isinstance(decision.payloads[0], SalesRecorded)
            assert (decision.state.stage, decision.state.owner) == (before.stage, before.owner)
        return decision

    def check_owner(self, told: LeadAssigned, at: datetime, decision: Decision) -> None:
        """Nobody is asked who can't be; and what is stamped gives the same owner, without any rows."""
        if told.why is AssignmentReason.HANDED_OVER or told.owner is None:
            return
        absence = self.routing.absences.get(told.owner)
        assert absence is None or (not absence.is_gone and absence.until is not None and absence.until <= at)
        accord = ACCORDS.version(decision.state.accord)
        assert told.owner != "grace" or self.given[told.owner, accord.day_of(at)] < CAPACITY
        if told.turn is not None:
            assert accord.owner_for_turn(told.team or "", told.turn) == told.owner

    @invariant()
    def versions_are_contiguous_and_time_goes_one_way(self) -> None:
        for who, told in self.told.items():
            changes = [payload for payload in told if isinstance(payload, StageChanged)]
            assert [change.version for change in changes] == list(range(1, len(changes) + 1))
            times = [change.occurred_at for change in changes]
            assert times == sorted(times)
            path = ["lead", *(change.to_stage for change in changes)]
            assert [change.from_stage for change in changes] == path[:-1]
            assert {*pairwise(path)} <= PASSAGES
            assert self.states[who].stage == path[-1]

    @invariant()
    def loads_are_what_was_given(self) -> None:
        assert {load: count for load, count in self.routing.loads.items() if count} == dict(self.given)

    def teardown(self) -> None:
        for who, history in getattr(self, "histories", {}).items():
            decisions = list(fold(lead(who), history, ACCORDS))
            assert not history or decisions[-1].state == self.states[who]
            assert [payload for decision in decisions for payload in decision.payloads] == self.told[who]
            assert sum(1 for decision in decisions if decision.given) == sum(
                1 for payload in self.told[who] if isinstance(payload, LeadAssigned) and is_given(payload)
            )


def is_given(told: LeadAssigned) -> bool:
    is_repeated = told.why is AssignmentReason.HANDED_OVER and told.owner == told.previous_owner
    return told.owner is not None and not is_repeated


TestLeadsLife = LeadsLife.TestCase
TestLeadsLife.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
