"""The compiled rules of an accord: plain values and closures, ready for a hot path. Nothing here reads a document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, NamedTuple

Facts = Mapping[str, Any]
Predicate = Callable[[Facts], bool]


class AtMost(NamedTuple):
    """A rule grants at most these points within this time."""

    points: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class After:
    """A precondition: the lead did this activity, matching, at most `within` before."""

    activity: str
    matches: Predicate
    within: timedelta


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One engagement rule. `half_life` None never decays; `words` is the reason as people read it."""

    id: str
    activity: str
    points: int
    half_life: timedelta | None
    at_most: AtMost | None
    once: bool
    after: After | None
    matches: Predicate
    words: str


@dataclass(frozen=True, slots=True)
class CompiledFitRule:
    """One fit rule."""

    id: str
    points: int
    matches: Predicate


class FitResult(NamedTuple):
    """What a profile is worth, by which rules, and its grade."""

    points: int
    rules: tuple[tuple[str, int], ...]
    grade: str


@dataclass(frozen=True, slots=True)
class Owner:
    """One owner of a team; `capacity` is leads per calendar day, None unbounded."""

    owner: str
    weight: int = 1
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class Escalation:
    """One step of a clock's ladder; `at` is a share of the clock's time (1.0 = its deadline)."""

    at: float
    to: str
    then: str | None = None


@dataclass(frozen=True, slots=True)
class ClockRule:
    """One promise with a deadline. Escalations are in the order of their shares."""

    id: str
    starts: str
    stops: tuple[str, ...]
    when: Predicate
    within: timedelta
    hours: Literal["business", "always"]
    warn_at: float | None
    escalate: tuple[Escalation, ...]
    pauses_while: str | None
