"""The arithmetic of `sla.promises` (ACCORD.md "Promises"): the period, what would be due by now, what was reached, and
how it stands. Pure; what is counted comes from elsewhere."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from shared.agreement.calendar import DAY, BusinessCalendar
from shared.agreement.document_sla import Promise
from shared.agreement.rules import Predicate
from shared.events.lifecycle import Stage
from shared.events.sales import AMOUNT_MAX

Unit = Literal["week", "month", "quarter"]

# How long after its period a conversion is still counted, unless the promise says otherwise; all else not at all.
CONVERSION_SETTLES_AFTER: Final = timedelta(days=14)
# The stages whose entries have an amount.
WITH_AMOUNT: Final = frozenset({Stage.OPPORTUNITY, Stage.CUSTOMER})
# What other producers put on the log is bounded by nobody: a sum with it might be no number any more.
_AMOUNT_MIN: Final = 1e-9
_COUNTED: Final = ("counts", "when", "share_of", "sourced_by", "that_reached", "per")
_MONTHS: Final[dict[Unit, int]] = {"month": 1, "quarter": 3}


class PromiseState(StrEnum):
    """How a promise stands in a period."""

    RUNNING = "running"
    SETTLING = "settling"
    KEPT = "kept"
    BREACHED = "breached"


class PromiseRule(NamedTuple):
    """A promise ready to count: the stage whose entries it looks at, and which of them count."""

    promise: Promise
    stage: str
    when: Predicate


class PromisePeriod(NamedTuple):
    """From the first midnight of the period until before that of the next, as instants in UTC."""

    unit: Unit
    since: datetime
    until: datetime


class Pace(NamedTuple):
    """What would be due by now: the target, pro rata of the open hours of the period that have passed."""

    due: float
    open_elapsed: timedelta
    open_total: timedelta


class Tally(NamedTuple):
    """Of the first entries in a period: how many, how many of them count for the promise, and what both come to in the
    accord's currency. `other_currencies`: how many have an amount in another one."""

    entries: int
    counted: int
    amount: float = 0.0
    counted_amount: float = 0.0
    other_currencies: int = 0


class Reached(NamedTuple):
    """What was reached, and of which numbers: a count has no denominator; a share of nothing is None."""

    reached: int | float | None
    numerator: int | float
    denominator: int | float | None
    is_amount: bool
    falls_back_to_counts: bool


def period_at(unit: Unit, at: datetime, zone: ZoneInfo) -> PromisePeriod:
    """The period that an instant lies in: a week from Monday, a month or a quarter of the zone's own dates."""
    day = at.astimezone(zone).date()
    if unit == "week":
        first = day - day.weekday() * DAY
        return PromisePeriod(unit, _midnight(first, zone), _midnight(first + 7 * DAY, zone))
    months = _MONTHS[unit]
    first = day.replace(month=day.month - (day.month - 1) % months, day=1)
    return PromisePeriod(unit, _midnight(first, zone), _midnight(_months_later(first, months), zone))


def name_of(period: PromisePeriod, zone: ZoneInfo) -> str:
    """`2026-W48` as ISO 8601 numbers weeks, `2026-11`, or `2026-Q4`."""
    first = period.since.astimezone(zone).date()
    if period.unit == "week":
        year, week, _ = first.isocalendar()
        return f"{year}-W{week:02}"
    return f"{first:%Y-%m}" if period.unit == "month" else f"{first.year}-Q{(first.month + 2) // 3}"


def period_before(period: PromisePeriod, zone: ZoneInfo) -> PromisePeriod:
    """The period that ends where this one begins."""
    return period_at(period.unit, period.since - timedelta.resolution, zone)


def pace_of(target: float, period: PromisePeriod, calendar: BusinessCalendar, now: datetime) -> Pace:
    """Nothing is due in a period without an open hour."""
    total = calendar.elapsed(period.since, period.until)
    elapsed = calendar.elapsed(period.since, min(now, period.until))
    return Pace(target * (elapsed / total) if total else 0.0, elapsed, total)


def settles_at(promise: Promise, period: PromisePeriod) -> datetime:
    """When the period is settled: what happens from then on is no longer counted."""
    usual = timedelta(0) if promise.that_reached is None else CONVERSION_SETTLES_AFTER
    return period.until + (usual if promise.settles_after is None else promise.settles_after)


def reached_of(promise: Promise, tally: Tally) -> Reached:
    """A count; or a share: of the amount where entries have one, unless one is in another currency."""
    if promise.counts is not None:
        return Reached(tally.counted, tally.counted, None, is_amount=False, falls_back_to_counts=False)
    has_amounts = promise.sourced_by is not None and promise.share_of in WITH_AMOUNT
    falls_back = has_amounts and tally.other_currencies > 0
    is_amount = has_amounts and not falls_back
    counts, amounts = (tally.counted, tally.entries), (tally.counted_amount, tally.amount)
    numerator, denominator = amounts if is_amount else counts
    reached = numerator / denominator if denominator else None
    return Reached(reached, numerator, denominator, is_amount, falls_back)


def is_behind(promise: Promise, reached: float | None, pace: Pace) -> bool:
    """Whether what was reached is below the share of the pace at which both sides are warned."""
    return promise.warn_at is not None and reached is not None and reached < promise.warn_at * pace.due


def state_of(promise: Promise, period: PromisePeriod, reached: float | None, now: datetime) -> PromiseState:
    """A share of nothing is kept."""
    if now < period.until:
        return PromiseState.RUNNING
    if now < settles_at(promise, period):
        return PromiseState.SETTLING
    return PromiseState.KEPT if reached is None or reached >= promise.at_least else PromiseState.BREACHED


def counts_alike(one: Promise, other: Promise) -> bool:
    """Whether two versions of a promise count the same in the same periods, whatever they aim at."""
    return all(getattr(one, name) == getattr(other, name) for name in _COUNTED)


def is_amount(amount: float | None) -> bool:
    """Whether a deal's amount can be added up."""
    return amount is not None and (amount == 0 or _AMOUNT_MIN <= amount <= AMOUNT_MAX)


def _months_later(first: date, months: int) -> date:
    later = first.month - 1 + months
    return first.replace(year=first.year + later // 12, month=later % 12 + 1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of the day; where midnight is skipped, the one after the gap."""
    return datetime.combine(day, time(), zone).astimezone(UTC)
