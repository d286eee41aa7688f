"""An accord's engagement rules in the units of a busy line: times in microseconds. Made once per accord version."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from shared.agreement.compiled import CompiledAccord
from shared.agreement.rules import CompiledRule, Predicate

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# Versions that may be at work at the same time in one process.
_ACCORDS_MAX = 64


def instant(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """The instant that many microseconds after 1970."""
    return EPOCH + microseconds * MICROSECOND


class Limit(NamedTuple):
    """`at_most`."""

    points: int
    per: int


class Precondition(NamedTuple):
    """`after`."""

    activity: str
    matches: Predicate
    within: int


class Rule(NamedTuple):
    """One engagement rule; `half_life` None never decays."""

    id: str
    points: int
    matches: Predicate
    half_life: int | None
    limit: Limit | None
    once: bool
    after: Precondition | None
    words: str


class Rules(NamedTuple):
    """All of one accord: by their own id, by their activity, and by the activity that they follow."""

    by_id: dict[str, Rule]
    on: dict[str, tuple[Rule, ...]]
    following: dict[str, tuple[Rule, ...]]


@lru_cache(maxsize=_ACCORDS_MAX)
def rules_of(accord: CompiledAccord) -> Rules:
    """The accord's rules."""
    types = {rule.activity for rule in accord.document.scoring.engagement.rules}
    on = {type: tuple(_rule(rule) for rule in accord.rules_for(type)) for type in types}
    by_id = {rule.id: rule for rules in on.values() for rule in rules}
    followed = {rule.after.activity for rule in by_id.values() if rule.after}
    following = {type: tuple(by_id[rule.id] for rule in accord.preconditions_for(type)) for type in followed}
    return Rules(by_id, on, following)


def _rule(rule: CompiledRule) -> Rule:
    half_life, limit, after = rule.half_life, rule.at_most, rule.after
    return Rule(
        id=rule.id,
        points=rule.points,
        matches=rule.matches,
        half_life=None if half_life is None else half_life // MICROSECOND,
        limit=None if limit is None else Limit(limit.points, limit.per // MICROSECOND),
        once=rule.once,
        after=None if after is None else Precondition(after.activity, after.matches, after.within // MICROSECOND),
        words=rule.words,
    )
