"""What points are worth as time passes, and when a lead will no longer be worth a call."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import fsum

from shared.agreement.compiled import CompiledAccord
from shared.agreement.crossing import Curve, Interval, first_exit
from shared.agreement.rules import Facts


@dataclass(frozen=True, slots=True)
class RuleTotal:
    """What all grants of one rule are worth together at an instant; they decay alike, so one number stands for all."""

    worth: float
    at: datetime
    count: int


def worth(points: float, at: datetime, half_life: timedelta | None, when: datetime) -> float:
    """What a grant made at `at` is worth at `when`; nothing before it was made."""
    if when < at:
        return 0.0
    if half_life is None:
        return float(points)
    return float(points * 2.0 ** (-((when - at) / half_life)))


def engagement_at(totals: Mapping[str, RuleTotal], accord: CompiledAccord, when: datetime) -> float:
    """The engagement at an instant not before the totals' own (an earlier one is taken for the total's)."""
    rule = accord.rule
    sum_ = fsum(
        worth(total.worth, total.at, rule(rule_id).half_life, max(when, total.at)) for rule_id, total in totals.items()
    )
    return bounded(sum_, accord.cap)


def bounded(engagement: float, cap: float | None) -> float:
    """Cap and floor."""
    return max(0.0, engagement if cap is None else min(cap, engagement))


def below_threshold_at(
    totals: Mapping[str, RuleTotal], accord: CompiledAccord, facts: Facts, now: datetime
) -> datetime | None:
    """The first instant after now at which `stages.mql` is false with everything but engagement held fixed."""
    holding = _interval_of_truth(accord, facts, engagement_at(totals, accord, now))
    if holding is None:
        return None
    parts = [
        (worth(total.worth, total.at, half_life, max(now, total.at)), half_life)
        for half_life, total in ((accord.rule(rule_id).half_life, total) for rule_id, total in totals.items())
    ]
    return first_exit(Curve(parts, accord.cap), holding, now)


def _interval_of_truth(accord: CompiledAccord, facts: Facts, engagement: float) -> Interval | None:
    """The widest interval of engagement around this one in which the condition holds; None if it doesn't hold here.

    The condition can only change its truth at the numbers that it compares engagement with.
    """
    numbers = accord.mql_thresholds
    if not accord.is_mql({**facts, "engagement": engagement}):
        return None
    # Regions: below the first number, the number itself, between it and the next, …
    probes = [numbers[0] - 1.0] if numbers else [engagement]
    for number, following in zip(numbers, [*numbers[1:], numbers[-1] + 2.0] if numbers else [], strict=True):
        probes += [number, (number + following) / 2]
    holds = [accord.is_mql({**facts, "engagement": probe}) for probe in probes]
    index = bisect_left(numbers, engagement)
    here = 2 * index + (1 if index < len(numbers) and numbers[index] == engagement else 0)
    first = last = here
    while first > 0 and holds[first - 1]:
        first -= 1
    while last < len(holds) - 1 and holds[last + 1]:
        last += 1
    low = numbers[(first - 1) // 2] if first > 0 else float("-inf")
    high = numbers[last // 2] if last < len(holds) - 1 else float("inf")
    return Interval(low, high, holds_at_low=first % 2 == 1, holds_at_high=last % 2 == 1)
