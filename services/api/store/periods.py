"""The period of a report: its weeks where the accord is, and the days (UTC) that lie in it whole. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)


class Span(NamedTuple):
    """From a time on, until before another."""

    since: datetime
    until: datetime


class Week(NamedTuple):
    """It begins on Monday in the accord's zone; `name` is that of ISO 8601."""

    begins_at: datetime
    monday: date

    @property
    def name(self) -> str:
        year, week, _ = self.monday.isocalendar()
        return f"{year:04}-W{week:02}"


class Days(NamedTuple):
    """Days from `first` until before `last`, without those that are `cut`; the `rest` of the period lies outside. By
    week, each part of it lies in one."""

    first: date
    last: date
    cut: Sequence[date]
    rest: Sequence[Span]


@dataclass(frozen=True)
class Period:
    """From a time on, until before another; `zone` is what weeks are told in."""

    since: datetime
    until: datetime
    zone: str

    @cached_property
    def weeks(self) -> Sequence[Week]:
        """Every week of which something lies in the period, in their order."""
        zone = ZoneInfo(self.zone)
        local = self.since.astimezone(zone).date()
        monday = local - timedelta(days=local.weekday())
        found = []
        while (begins_at := datetime.combine(monday, time(), zone).astimezone(UTC)) < self.until:
            found.append(Week(begins_at, monday))
            monday += 7 * DAY
        return found

    def whole(self, *, by_week: bool) -> Days:
        """Nothing is counted by day."""
        rest = self._split([Span(self.since, self.until)], by_week=by_week)
        return Days(self.since.date(), self.since.date(), (), rest)

    def days(self, *, by_week: bool) -> Days:
        """What can be counted by day. By week, a day in which one begins can't."""
        if self.until - self.since < DAY:
            return self.whole(by_week=by_week)
        first, last = _midnight(self.since + DAY - timedelta.resolution), _midnight(self.until)
        begun = [week.begins_at for week in self.weeks] if by_week else []
        cut = sorted({_midnight(at) for at in begun if first < at < last and at != _midnight(at)})
        rest = [Span(self.since, first), *(Span(day, day + DAY) for day in cut), Span(last, self.until)]
        return Days(first.date(), last.date(), [day.date() for day in cut], self._split(rest, by_week=by_week))

    def _split(self, spans: Sequence[Span], *, by_week: bool) -> Sequence[Span]:
        """Without those that are empty; by week, none lies in two."""
        begun = [week.begins_at for week in self.weeks] if by_week else []
        found = []
        for span in spans:
            cuts = [span.since, *(at for at in begun if span.since < at < span.until), span.until]
            found += [Span(since, until) for since, until in pairwise(cuts) if since < until]
        return found


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
