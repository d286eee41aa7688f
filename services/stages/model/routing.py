"""Who gets a lead: the owner it has, the owner of its company, or the next of the team that the rules name.

What the decision takes from outside the lead comes in as Routing and is stamped, so that a replay needs nothing else.
"""

from collections.abc import Container, Iterable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from shared.agreement.compiled import CompiledAccord
from shared.agreement.rules import Facts
from shared.events.lifecycle import AssignmentReason, PassedOver, PassedOverReason


class Sticky(NamedTuple):
    """Who is responsible for one value of the sticky field."""

    owner: str
    team: str | None


class Absence(NamedTuple):
    """Why an owner takes no leads now: gone, or paused until a time (None: until people resume them)."""

    is_gone: bool = False
    until: datetime | None = None


class Load(NamedTuple):
    """What one owner was given on one day of the accord's zone."""

    owner: str
    day: date


class Routing(NamedTuple):
    """What routing reads: rows that it moves (each team's next turn, who has which sticky value, how many leads an
    owner got on a day), and who is absent, as people configured it."""

    turns: Mapping[str, int] = {}
    sticky: Mapping[str, Sticky] = {}
    loads: Mapping[Load, int] = {}
    absences: Mapping[str, Absence] = {}


class Rows(NamedTuple):
    """The rows that decisions depend on and move, by their keys."""

    values: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    loads: frozenset[Load] = frozenset()

    @staticmethod
    def all_of(parts: Iterable["Rows"]) -> "Rows":
        values, teams, loads = set[str](), set[str](), set[Load]()
        for part in parts:
            values |= part.values
            teams |= part.teams
            loads |= part.loads
        return Rows(frozenset(values), frozenset(teams), frozenset(loads))


class Stamp(NamedTuple):
    """One decision about an owner, whole: together with the accord it names the rows that it depends on. Without an
    owner nobody could be asked."""

    owner: str | None
    team: str | None
    why: AssignmentReason
    turn: int | None = None
    candidates: tuple[str, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    sticky_value: str | None = None

    def applied_to(self, routing: Routing, given: Load | None) -> Routing:
        """The rows after this decision; `given` is whose load it adds to."""
        turns, sticky, loads = routing.turns, routing.sticky, routing.loads
        if self.turn is not None and self.team is not None:
            turns = {**turns, self.team: self.turn + 1}
        if self.sticky_value is not None and self.owner is not None:
            sticky = {**sticky, self.sticky_value: Sticky(self.owner, self.team)}
        if given is not None:
            loads = {**loads, given: loads.get(given, 0) + 1}
        return Routing(turns, sticky, loads, routing.absences)

    def rows(self, accord: CompiledAccord, day: date) -> Rows:
        """Those that the decision depends on; of the loads, those that the accord bounds."""
        owners = {*self.candidates, *(passed.owner for passed in self.passed_over)}
        return Rows(
            frozenset() if self.sticky_value is None else frozenset({self.sticky_value}),
            frozenset() if self.turn is None or self.team is None else frozenset({self.team}),
            frozenset(Load(owner, day) for owner in owners if accord.has_capacity(owner)),
        )


class Holder(NamedTuple):
    """Who has the lead. People may have handed it to somebody whom the accord doesn't know."""

    owner: str | None = None
    team: str | None = None
    is_handed_over: bool = False


class Question(NamedTuple):
    """Who is to have this lead, asked at a time."""

    accord: CompiledAccord
    facts: Facts
    routing: Routing
    at: datetime

    def why_not(self, owner: str, team: str | None) -> PassedOverReason | None:
        """Why this owner, as a member of this team, can't be asked; None if they can."""
        absence = self.routing.absences.get(owner)
        if absence is not None and absence.is_gone:
            return PassedOverReason.GONE
        if absence is not None and (absence.until is None or self.at < absence.until):
            return PassedOverReason.PAUSED
        capacity = self.accord.capacity(owner, team)
        if capacity is not None and self.routing.loads.get(self.load_of(owner), 0) >= capacity:
            return PassedOverReason.AT_CAPACITY
        return None

    def load_of(self, owner: str) -> Load:
        return Load(owner, self.accord.day_of(self.at))


def route(question: Question, holder: Holder) -> Stamp:
    """Who gets a lead that enters `mql`."""
    accord = question.accord
    passed_over: tuple[PassedOver, ...] = ()
    if holder.owner is not None:
        why = _why_not_kept(question, holder)
        if why is None:
            team = accord.team_with(holder.owner, holder.team) or holder.team or accord.team_for(question.facts)
            return Stamp(holder.owner, team, AssignmentReason.STICKY)
        passed_over = (PassedOver(holder.owner, why),)
    value = accord.sticky_value(question.facts)
    known = question.routing.sticky.get(value) if value is not None else None
    if known is not None and known.owner != holder.owner:
        why = _why_not_kept(question, Holder(*known))
        if why is None:
            team = accord.team_with(known.owner, known.team)
            stamp = Stamp(known.owner, team, AssignmentReason.STICKY, passed_over=passed_over)
            return stamp._replace(sticky_value=value)
        passed_over += (PassedOver(known.owner, why),)
    team = accord.team_for(question.facts)
    return _next_of(question, team, AssignmentReason.RULE, passed_over)._replace(sticky_value=value)


def reassign(question: Question, holder: Holder, had: Container[str] = ()) -> Stamp:
    """The next owner of the lead's team, or else of its rule's, who isn't the present one and has not had it before."""
    accord = question.accord
    team = holder.team if holder.team is not None and accord.owners(holder.team) else accord.team_for(question.facts)
    passed_over = tuple(
        PassedOver(owner, PassedOverReason.PRESENT_OWNER if owner == holder.owner else PassedOverReason.HAD_IT)
        for owner in (member.owner for member in accord.owners(team or ""))
        if owner == holder.owner or owner in had
    )
    return _next_of(question, team, AssignmentReason.REASSIGNED, passed_over)


def team_handed_to(question: Question, owner: str, holder: Holder) -> str | None:
    """The team of a lead that people hand to this owner: one of the owner's own, or else the one it had."""
    return question.accord.team_with(owner, holder.team) or holder.team


def _why_not_kept(question: Question, holder: Holder) -> PassedOverReason | None:
    """As `why_not`; and whom routing chose once is gone when no team of the accord has them any more."""
    owner = holder.owner or ""
    if not holder.is_handed_over and not question.accord.teams_of(owner):
        return PassedOverReason.GONE
    return question.why_not(owner, holder.team)


def _next_of(question: Question, team: str | None, why: AssignmentReason, passed_over: tuple[PassedOver, ...]) -> Stamp:
    """Whose turn it is. A turn of somebody who can't be asked goes by: the others keep their proportions."""
    if team is None:
        return Stamp(None, None, AssignmentReason.UNASSIGNED, passed_over=passed_over)
    candidates = tuple(member.owner for member in question.accord.owners(team))
    already = {passed.owner for passed in passed_over}
    asked = ((owner, question.why_not(owner, team)) for owner in candidates if owner not in already)
    passed_over += tuple(PassedOver(owner, reason) for owner, reason in asked if reason is not None)
    free = {*candidates} - {passed.owner for passed in passed_over}
    if not free:
        return Stamp(None, team, AssignmentReason.UNASSIGNED, None, candidates, passed_over)
    turn = question.routing.turns.get(team, 0)
    while (owner := question.accord.owner_for_turn(team, turn)) not in free:
        turn += 1
    return Stamp(owner, team, why, turn, candidates, passed_over)


def stamp_to_json(stamp: Stamp) -> dict[str, Any]:
    """Only what isn't empty: a history keeps millions of these."""
    return {name: value for name, value in stamp._asdict().items() if value is not None and value != ()}


def stamp_from_json(value: Mapping[str, Any]) -> Stamp:
    """What `stamp_to_json` wrote."""
    passed_over = (PassedOver(each["owner"], PassedOverReason(each["why"])) for each in value.get("passed_over", ()))
    return Stamp(
        value.get("owner"),
        value.get("team"),
        AssignmentReason(value["why"]),
        turn=value.get("turn"),
        candidates=tuple(value.get("candidates", ())),
        passed_over=tuple(passed_over),
        sticky_value=value.get("sticky_value"),
    )
