"""The state after a decision, the score that is told, and its reasons in words."""

from collections.abc import Mapping
from math import fsum
from typing import Any, NamedTuple

from services.scoring.model.grants import Granted
from services.scoring.model.rules import Rules, rules_of
from services.scoring.model.state import Decision, State, Total
from shared.agreement.compiled import CompiledAccord
from shared.agreement.decay import bounded

REASONS_MAX = 5


class About(NamedTuple):
    """What is known about the lead: the fields of State from `profile` on, without the engagement."""

    profile: Mapping[str, Any]
    profile_at: Mapping[str, int]
    email: str | None
    source: str | None
    campaign: str | None
    first_source: str | None
    first_team: str | None
    fit: int
    fit_rules: Any
    grade: str


def decide(before: State, about: About, granted: Granted, accord: CompiledAccord, as_of: int) -> Decision:
    """What the grants so far come to at that time, and how it is told; the caller adds `as_of` as it has it at hand."""
    points, worths = _points(granted.totals, rules_of(accord), as_of)
    _, totals, windows, preceding = granted
    engagement = bounded(fsum(worths), accord.cap)
    numbers = (before.version + 1, before.number + 1, accord.version, as_of)
    # Made as a tuple, without the function that names its fields: this runs for every event.
    after = tuple.__new__(State, (*numbers, totals, windows, preceding, *about[:-3], engagement, *about[-3:]))
    return Decision(after, _score_data(before, after, granted, _reasons(points, after, accord)), granted.grants)


def engagement_of(totals: Mapping[str, Total], rules: Rules, as_of: int, cap: float | None) -> float:
    """What these totals are worth at a time not before theirs."""
    return bounded(fsum(_points(totals, rules, as_of)[1]), cap)


# What one rule's grants, or one fit rule, come to: -|points|, words, points, count. They sort by what weighs most.
_Reason = tuple[float, str, float, int]


def _points(totals: Mapping[str, Total], rules: Rules, as_of: int) -> tuple[list[_Reason], list[float]]:
    """What each rule's grants are worth now: as reasons, and bare."""
    points: list[_Reason] = []
    worths: list[float] = []
    for id, (before, at, count) in totals.items():
        rule = rules.by_id[id]
        half_life = rule.half_life
        # `worth`, spelled out: every rule of every event passes here.
        value = before if half_life is None else before * 2.0 ** ((at - as_of) / half_life)
        points.append((-abs(value), rule.words, value, count))
        worths.append(value)
    return points, worths


def _reasons(points: list[_Reason], state: State, accord: CompiledAccord) -> list[dict[str, Any]]:
    """What weighs most, in words."""
    if state.fit_rules:
        points += [(-abs(float(fit)), accord.fit_words(id), float(fit), 1) for id, fit in state.fit_rules]
    points.sort()
    return [
        {"words": words if count == 1 else f"{words} ×{count}", "points": value}
        for _, words, value, count in points[:REASONS_MAX]
    ]


def _score_data(before: State, state: State, granted: Granted, reasons: list[dict[str, Any]]) -> dict[str, Any]:
    """The data of `accord.score.changed`, as a mapping that is encoded without a model in between."""
    return {
        "version": state.version,
        "changed": (state.engagement, state.fit, state.grade) != (before.engagement, before.fit, before.grade),
        "engagement": state.engagement,
        "fit": state.fit,
        "grade": state.grade,
        "reasons": reasons,
        "grants": granted.grants,
        "lead": {
            "email": state.email,
            "profile": state.profile,
            "source": state.source,
            "campaign": state.campaign,
            "first_source": state.first_source,
            "first_team": state.first_team,
        },
    }
