"""An accord ready to decide: conditions as closures, rules by activity, turns of teams. Made once per version."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal, Protocol

from shared.agreement.calendar import BusinessCalendar
from shared.agreement.conditions import compile_condition, thresholds
from shared.agreement.document import Accord
from shared.agreement.promises import PromiseRule, counts_alike
from shared.agreement.rules import (
    AtMost,
    ClockRule,
    CompiledFitRule,
    CompiledRule,
    Facts,
    FitResult,
    Owner,
    Predicate,
)
from shared.agreement.ruling import clock_rules, engagement_rules, fit_rules, grouped, promise_rules
from shared.agreement.turns import turns

__all__ = [
    "AtMost",
    "ClockRule",
    "CompiledAccord",
    "CompiledRule",
    "FitResult",
    "LeadFacts",
    "Owner",
    "alike",
    "compile_accord",
]


class LeadFacts(Protocol):
    """What a condition may ask of a lead (shared.events.base.LeadSnapshot is one)."""

    @property
    def email(self) -> str | None: ...
    @property
    def profile(self) -> Mapping[str, Any]: ...
    @property
    def source(self) -> str | None: ...
    @property
    def campaign(self) -> str | None: ...
    @property
    def first_source(self) -> str | None: ...


class CompiledAccord:
    """One version of the accord, immutable. Facts are what `facts` makes."""

    def __init__(self, document: Accord, version: int) -> None:
        self.version = version
        self.document = document
        self.calendar: BusinessCalendar = document.calendar.business_calendar()
        self._take_scoring()
        self._take_stages()
        self._take_routing()
        self._clocks = {rule.id: rule for rule in clock_rules(document.sla)}
        self._clocks_of: dict[str, tuple[ClockRule, ...]] = grouped(self._clocks.values(), lambda rule: rule.starts)
        self.promises = {rule.promise.id: rule for rule in promise_rules(document.sla)}
        self._promises_on = grouped(self.promises.values(), lambda rule: rule.stage)
        self._reached_by = grouped(self.promises.values(), lambda rule: rule.promise.that_reached or "")

    def _take_scoring(self) -> None:
        engagement, fit = self.document.scoring.engagement, self.document.scoring.fit
        self.cap: float | None = engagement.cap
        self._rules = {rule.id: rule for rule in engagement_rules(engagement)}
        self._rules_for = grouped(self._rules.values(), lambda rule: rule.activity)
        with_after = [rule for rule in self._rules.values() if rule.after is not None]
        self._preconditions_for = grouped(with_after, lambda rule: rule.after.activity if rule.after else "")
        self._fit_rules: tuple[CompiledFitRule, ...] = fit_rules(fit)
        self._grades = [(grade, at) for grade, at in fit.grades if at is not None]

    def _take_stages(self) -> None:
        stages = self.document.stages
        self._is_mql: Predicate = compile_condition(stages.mql)
        self.mql_thresholds: tuple[float, ...] = thresholds(stages.mql, "engagement")
        self.cool_down: timedelta | None = stages.recycle.cool_down if stages.recycle else None
        self.rejection_reasons: tuple[str, ...] = tuple(stages.rejection_reasons)

    def _take_routing(self) -> None:
        routing = self.document.routing
        self._routing = [(compile_condition(rule.when), rule.team) for rule in routing.rules]
        self._owners = {
            team: tuple(Owner(owner.owner, owner.weight, owner.capacity) for owner in owners)
            for team, owners in routing.teams.items()
        }
        members = [(team, owner) for team, owners in self._owners.items() for owner in owners]
        self._teams_of: dict[str, tuple[str, ...]] = {}
        for team, owner in members:
            self._teams_of[owner.owner] = (*self._teams_of.get(owner.owner, ()), team)
        self._capacities = {
            (team, owner.owner): owner.capacity for team, owner in members if owner.capacity is not None
        }
        self._turns: dict[str, tuple[str, ...]] = {}
        self._free_mail = frozenset(domain.casefold() for domain in routing.free_mail)

    # Scoring

    def rules_for(self, activity_type: str) -> tuple[CompiledRule, ...]:
        """The engagement rules on this activity."""
        return self._rules_for.get(activity_type, ())

    def preconditions_for(self, activity_type: str) -> tuple[CompiledRule, ...]:
        """The rules whose `after` asks for this activity."""
        return self._preconditions_for.get(activity_type, ())

    def rule(self, rule_id: str) -> CompiledRule:
        """This engagement rule; KeyError without it."""
        return self._rules[rule_id]

    def fit(self, profile: Mapping[str, Any], email: str | None) -> FitResult:
        """What the profile is worth."""
        facts = self.derived(profile, email)
        held = tuple((rule.id, rule.points) for rule in self._fit_rules if rule.matches(facts))
        points = sum(points for _, points in held)
        return FitResult(points, held, self.grade(points))

    def fit_words(self, rule_id: str) -> str:
        """A fit rule as people read it."""
        return rule_id.replace("-", " ").replace("_", " ")

    def grade(self, fit: int) -> str:
        """The first of A, B, C whose threshold the fit reaches, else D."""
        for grade, threshold in self._grades:
            if threshold <= fit:
                return grade
        return "D"

    def derived(self, profile: Mapping[str, Any], email: str | None) -> dict[str, Any]:
        """The profile with what follows from the email: its domain, and the company's unless that is free mail."""
        fields = dict(profile)
        domain = email.rpartition("@")[2].casefold() if email else ""
        if domain:
            fields["email_domain"] = domain
            if domain not in self._free_mail:
                fields["company_domain"] = domain
        return fields

    def facts(
        self, *, engagement: float, fit: int, grade: str, stage: str | None, owner: str | None, lead: LeadFacts
    ) -> dict[str, Any]:
        """What the conditions of stages, routing and sla are asked on. A profile can't pose as the lead's own facts."""
        facts = self.derived(lead.profile, lead.email)
        facts["engagement"] = engagement
        facts["fit"] = fit
        facts["grade"] = grade
        facts["stage"] = stage
        facts["owner"] = owner
        facts["source"] = lead.source
        facts["campaign"] = lead.campaign
        facts["first_source"] = lead.first_source
        return facts

    # Stages

    def is_mql(self, facts: Facts) -> bool:
        """Whether `stages.mql` holds."""
        return self._is_mql(facts)

    def rejection(self, reason: str | None) -> Literal["recycled", "disqualified"] | None:
        """Where a lead goes that was rejected for this reason; None for an unknown one."""
        return None if reason is None else self.document.stages.rejection_reasons.get(reason)

    # Routing

    def team_for(self, facts: Facts) -> str | None:
        """The team of the first routing rule that holds."""
        for holds, team in self._routing:
            if holds(facts):
                return team
        return None

    def owners(self, team: str) -> tuple[Owner, ...]:
        """The team's owners; none for an unknown team."""
        return self._owners.get(team, ())

    def teams_of(self, owner: str) -> tuple[str, ...]:
        """The teams that this owner belongs to; none for one that the accord doesn't know."""
        return self._teams_of.get(owner, ())

    def team_with(self, owner: str, preferred: str | None) -> str | None:
        """A team that this owner belongs to, the preferred one if it is among them."""
        teams = self.teams_of(owner)
        return preferred if preferred in teams else next(iter(teams), None)

    def capacity(self, owner: str, team: str | None) -> int | None:
        """How many leads this owner takes a day, as a member of the team or else of the first they belong to; None
        without a bound."""
        found = self.team_with(owner, team)
        return None if found is None else self._capacities.get((found, owner))

    def has_capacity(self, owner: str) -> bool:
        """Whether any team bounds what this owner takes."""
        return any((team, owner) in self._capacities for team in self.teams_of(owner))

    def day_of(self, at: datetime) -> date:
        """The calendar day of an instant in the accord's zone, by which capacity is counted."""
        return at.astimezone(self.calendar.zone).date()

    def sticky_value(self, facts: Facts) -> str | None:
        """The value whose owner keeps its leads, in one form; None without one, and for free mail."""
        field = self.document.routing.sticky
        value = facts.get(field) if field is not None else None
        if value is None or not isinstance(value, (str, int, float)):
            return None
        text = str(value).strip().casefold()
        return None if not text or text in self._free_mail else text

    def manager(self, team: str) -> str | None:
        """The team's manager."""
        return self.document.routing.managers.get(team)

    def owner_for_turn(self, team: str, turn: int) -> str:
        """Whose turn it is, counted from 0, by weight. LookupError for a team without owners."""
        sequence = self._turns.get(team)
        if sequence is None:
            sequence = self._turns[team] = turns(self.owners(team))
        if not sequence:
            raise LookupError(f"team {team} has no owners")
        return sequence[turn % len(sequence)]

    # Clocks

    def clocks_of(self, stage: str) -> tuple[ClockRule, ...]:
        """The clocks that start on entering this stage, before their `when` is asked."""
        return self._clocks_of.get(stage, ())

    def promises_on(self, stage: str) -> tuple[PromiseRule, ...]:
        """The promises that look at entries into this stage."""
        return self._promises_on.get(stage, ())

    def reached_by(self, stage: str) -> tuple[PromiseRule, ...]:
        """The promises on who came as far as this stage."""
        return self._reached_by.get(stage, ())

    def clock_rule(self, rule_id: str) -> ClockRule:
        """This clock; KeyError without it."""
        return self._clocks[rule_id]


def alike(promise_id: str, one: CompiledAccord, other: CompiledAccord) -> bool:
    """Whether both promise it, and count it the same in the same periods."""
    if one is other:
        return promise_id in one.promises
    rules = one.promises.get(promise_id), other.promises.get(promise_id)
    if rules[0] is None or rules[1] is None or one.calendar.zone.key != other.calendar.zone.key:
        return False
    return counts_alike(rules[0].promise, rules[1].promise)


def compile_accord(document: Accord, version: int) -> CompiledAccord:
    """The document as decisions."""
    return CompiledAccord(document, version)
