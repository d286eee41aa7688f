"""Who gets a lead: the owner it has, the owner of its company, or the next of the team that the rules name.

What the decision takes from outside the lead comes in as Routing and is stamped, so that a replay needs nothing else.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.agreement.compiled import CompiledAccord
from shared.agreement.rules import Facts
from shared.events.lifecycle import AssignmentReason


class Sticky(NamedTuple):
    """Who is responsible for one value of the sticky field."""

    owner: str
    team: str | None


class Routing(NamedTuple):
    """The rows that routing reads and moves: each team's next turn, and who has which sticky value."""

    turns: Mapping[str, int] = {}
    sticky: Mapping[str, Sticky] = {}


class Stamp(NamedTuple):
    """One decision about an owner, whole: `sticky_value` and `team` also name the rows that it depends on."""

    owner: str | None
    team: str | None
    why: AssignmentReason
    turn: int | None = None
    candidates: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    sticky_value: str | None = None

    def applied_to(self, routing: Routing) -> Routing:
        """The rows after this decision."""
        turns, sticky = routing.turns, routing.sticky
        if self.turn is not None and self.team is not None:
            turns = {**turns, self.team: self.turn + 1}
        if self.sticky_value is not None and self.owner is not None:
            sticky = {**sticky, self.sticky_value: Sticky(self.owner, self.team)}
        return Routing(turns, sticky)


def route(accord: CompiledAccord, facts: Facts, routing: Routing, *, owner: str | None, team: str | None) -> Stamp:
    """Who gets a lead that enters `mql`; `owner` and `team` are those already responsible for it."""
    if owner is not None:
        return Stamp(owner, team, AssignmentReason.STICKY)
    value = accord.sticky_value(facts)
    known = routing.sticky.get(value) if value is not None else None
    if known is not None:
        return Stamp(known.owner, known.team, AssignmentReason.STICKY, sticky_value=value)
    return _next_of(accord, accord.team_for(facts), routing, why=AssignmentReason.RULE)._replace(sticky_value=value)


def reassign(accord: CompiledAccord, facts: Facts, routing: Routing, *, owner: str | None, team: str | None) -> Stamp:
    """The team's next owner who isn't the present one, if it has another."""
    return _next_of(accord, team or accord.team_for(facts), routing, why=AssignmentReason.REASSIGNED, but=owner)


def _next_of(
    accord: CompiledAccord, team: str | None, routing: Routing, *, why: AssignmentReason, but: str | None = None
) -> Stamp:
    owners = accord.owners(team) if team is not None else ()
    candidates = tuple(owner.owner for owner in owners)
    if team is None or not candidates:
        return Stamp(None, team, AssignmentReason.UNASSIGNED)
    turn = routing.turns.get(team, 0)
    passed_over: tuple[str, ...] = ()
    if but is not None and any(candidate != but for candidate in candidates):
        while accord.owner_for_turn(team, turn) == but:
            turn, passed_over = turn + 1, (but,)
    return Stamp(accord.owner_for_turn(team, turn), team, why, turn, candidates, passed_over)


def stamp_to_json(stamp: Stamp) -> dict[str, Any]:
    """Only what isn't empty: a history keeps millions of these."""
    return {name: value for name, value in stamp._asdict().items() if value is not None and value != ()}


def stamp_from_json(value: Mapping[str, Any]) -> Stamp:
    lists = {name: tuple(value.get(name, ())) for name in ("candidates", "passed_over")}
    return Stamp(
        value.get("owner"),
        value.get("team"),
        AssignmentReason(value["why"]),
        turn=value.get("turn"),
        sticky_value=value.get("sticky_value"),
        **lists,
    )
