"""The ladder of one clock: warning, breach and escalations as moments in their order."""

from functools import lru_cache
from typing import Literal, NamedTuple

from shared.agreement.rules import ClockRule

StepKind = Literal["warn", "breach", "escalate"]


class LadderStep(NamedTuple):
    """One thing to announce when this share of the clock's time has been counted. Levels of escalation count from 1."""

    share: float
    kind: StepKind
    level: int = 0
    to: str | None = None
    then: str | None = None


@lru_cache(maxsize=1024)
def ladder(rule: ClockRule) -> tuple[LadderStep, ...]:
    """All steps in order; at the same share a warning goes before the breach, and the breach before its escalations."""
    steps = [LadderStep(1.0, "breach")]
    if rule.warn_at is not None:
        steps.append(LadderStep(rule.warn_at, "warn"))
    steps.extend(
        LadderStep(step.at, "escalate", level, step.to, step.then) for level, step in enumerate(rule.escalate, 1)
    )
    return tuple(sorted(steps, key=lambda step: (step.share, _ORDER[step.kind], step.level)))


_ORDER = {"warn": 0, "breach": 1, "escalate": 2}
