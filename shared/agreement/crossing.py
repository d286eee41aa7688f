"""When a sum of decaying points first leaves an interval. Bounded, not sampled: no crossing is stepped over.

A curve is P - N + C: positive parts falling, negative parts rising, and a constant. Over a span both halves and their
slopes lie between their ends, which bounds the curve and says where it is monotone; what neither decides is halved.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import fsum, log, log2
from typing import Final, NamedTuple

MICROSECOND: Final = timedelta(microseconds=1)
LN2: Final = log(2.0)
# Where the curve touches a threshold without crossing it, halving ends at spans of this many microseconds.
SPAN_MIN: Final = 1_000
# After so many spans only the ends of the rest are looked at. Real accords need some dozens.
SPANS_MAX: Final = 20_000
# What is left of all decaying points at the horizon; beyond it the curve is its constant.
NEGLIGIBLE: Final = 1e-9
# Rounding of the sums, kept clear of the bounds.
ROUNDING: Final = 1e-9


class Interval(NamedTuple):
    """An interval of engagement, with or without its ends."""

    low: float
    high: float
    holds_at_low: bool
    holds_at_high: bool

    def holds(self, value: float) -> bool:
        if value == self.low:
            return self.holds_at_low
        return self.holds_at_high if value == self.high else self.low < value < self.high

    def surely_contains(self, low: float, high: float) -> bool:
        """Whether all of [low, high], and a little beside it, lies inside."""
        return self.low < low - ROUNDING and high + ROUNDING < self.high


class Curve:
    """Engagement as a function of the microseconds from now, from (worth now, half life) of each part."""

    def __init__(self, parts: Iterable[tuple[float, timedelta | None]], cap: float | None) -> None:
        parts = list(parts)
        self.cap = cap
        self.constant = fsum(points for points, half_life in parts if half_life is None)
        # Rates in halvings per microsecond.
        self._decaying = [(points, MICROSECOND / life) for points, life in parts if life is not None and points != 0]

    def at(self, t: int) -> float:
        sum_ = self.constant + fsum(points * 2.0 ** (-rate * t) for points, rate in self._decaying)
        return max(0.0, sum_ if self.cap is None else min(self.cap, sum_))

    def halves(self, t: int) -> tuple[float, float, float, float]:
        """P, N, and how fast each falls per microsecond."""
        positive = negative = positive_fall = negative_fall = 0.0
        for points, rate in self._decaying:
            left = points * 2.0 ** (-rate * t)
            if points > 0:
                positive += left
                positive_fall += left * rate * LN2
            else:
                negative -= left
                negative_fall -= left * rate * LN2
        return positive, negative, positive_fall, negative_fall

    def horizon(self) -> int:
        """The microseconds until nothing worth mentioning is left of what decays."""
        if not self._decaying:
            return 0
        left = fsum(abs(points) for points, _ in self._decaying)
        slowest = min(rate for _, rate in self._decaying)
        return max(0, int(log2(max(left / NEGLIGIBLE, 1.0)) / slowest) + 1)


def first_exit(curve: Curve, holding: Interval, now: datetime) -> datetime | None:
    """The first instant after now, to the microsecond, at which the curve is outside the interval; None if never."""
    exit_ = _search(curve, holding)
    if exit_ is None:
        return None
    try:
        return now + timedelta(microseconds=exit_)
    except OverflowError:
        return None


def _search(curve: Curve, holding: Interval) -> int | None:
    spans = [(0, curve.horizon())]
    looked_at = 0
    while spans:
        start, end = spans.pop()
        looked_at += 1
        if end <= start or _stays_inside(curve, holding, start, end):
            continue
        if _is_monotone(curve, start, end) or end - start <= SPAN_MIN or looked_at > SPANS_MAX:
            if not holding.holds(curve.at(end)):
                return _bisect(curve, holding, start, end)
            continue
        middle = (start + end) // 2
        spans += [(middle, end), (start, middle)]
    return None


def _stays_inside(curve: Curve, holding: Interval, start: int, end: int) -> bool:
    from_, to = curve.halves(start), curve.halves(end)
    low, high = to[0] - from_[1], from_[0] - to[1]
    # The mean value form: as far from the middle as the steepest slope can lead. It is the closer bound on short spans.
    middle = curve.halves((start + end) // 2)
    slope = max(from_[2] - to[3], from_[3] - to[2])
    reach = slope * ((end - start) / 2 + 1)
    low, high = max(low, middle[0] - middle[1] - reach), min(high, middle[0] - middle[1] + reach)
    cap = float("inf") if curve.cap is None else curve.cap
    floored = max(0.0, min(cap, curve.constant + low)), max(0.0, min(cap, curve.constant + high))
    if holding.surely_contains(*floored):
        return True
    return floored[0] == floored[1] and holding.holds(floored[0])


def _is_monotone(curve: Curve, start: int, end: int) -> bool:
    from_, to = curve.halves(start), curve.halves(end)
    # The slope is N's fall less P's fall; both only shrink.
    return from_[3] - to[2] <= 0 or to[3] - from_[2] >= 0


def _bisect(curve: Curve, holding: Interval, inside: int, outside: int) -> int:
    while outside - inside > 1:
        middle = (inside + outside) // 2
        if holding.holds(curve.at(middle)):
            inside = middle
        else:
            outside = middle
    return outside
