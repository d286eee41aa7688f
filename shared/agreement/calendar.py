"""Business time on real wall clocks: which instants are open, how much of a span counts, when so much has counted.

Open hours are laid out in UTC once per year of use; a question costs two binary searches and one step per year spanned.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from shared.agreement.holidays import HolidayNames, no_holidays

DAY: Final = timedelta(days=1)
ZERO: Final = timedelta(0)
MICROSECOND: Final = timedelta(microseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Zone offsets are sampled this often; no zone has ever changed its offset twice within it.
OFFSET_SAMPLE: Final = timedelta(hours=6)
WEEKEND: Final = (5, 6)
FULL_DAY: Final = 24 * 60


class OpenRange(NamedTuple):
    """Minutes of the local day, `to` exclusive; `to` ≤ `from_` means that it ends on the next day."""

    from_: int
    to: int


class WorkingInterval(NamedTuple):
    """A piece of a span, whether it counted, and why: "open", "night", "break", "weekend", "holiday: …", …"""

    from_: datetime
    to: datetime
    counted: bool
    why: str


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of UTC in which the zone's offset doesn't change."""

    from_: datetime
    to: datetime
    offset: timedelta

    def dates(self) -> Iterator[date]:
        day = (self.from_ + self.offset).date()
        last = (self.to + self.offset - MICROSECOND).date()
        while day <= last:
            yield day
            day += DAY

    def clip(self, wall_from: datetime, wall_to: datetime) -> tuple[datetime, datetime] | None:
        """The part of a span of wall-clock readings that lies in this stretch, in UTC."""
        from_, to = max(wall_from - self.offset, self.from_), min(wall_to - self.offset, self.to)
        return (from_, to) if from_ < to else None


@dataclass(frozen=True, slots=True)
class _Year:
    """The open intervals of one UTC year in microseconds since 1970, and the open time before each of them."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    before: tuple[int, ...]
    total: int

    def counted_until(self, instant: int) -> int:
        index = bisect_right(self.starts, instant) - 1
        if index < 0:
            return 0
        return self.before[index] + min(instant, self.ends[index]) - self.starts[index]

    def instant_of(self, counted: int) -> int:
        """The earliest instant by which this much (more than 0, at most the total) has been counted."""
        index = bisect_left(self.before, counted) - 1
        return self.starts[index] + counted - self.before[index]


class BusinessCalendar:
    """The agreed hours in a time zone, less holidays and extra days. Pure: what it keeps is only computed once."""

    def __init__(
        self,
        zone: str,
        hours: Mapping[int, Iterable[OpenRange]],
        *,
        holidays: HolidayNames = no_holidays,
        extra: Iterable[date] = (),
    ) -> None:
        """`hours` by weekday (0 is Monday); `holidays` names the holidays of a year."""
        self.zone = ZoneInfo(zone)
        self._hours = {weekday: tuple(ranges) for weekday, ranges in hours.items()}
        self._holidays = holidays
        self._extra = frozenset(extra)
        self._closed: dict[int, Mapping[date, str]] = {}
        self._years: dict[int, _Year] = {}

    def deadline(self, start: datetime, within: timedelta) -> datetime:
        """The earliest instant by which `within` has been counted from start. OverflowError past the year 9998."""
        if within <= ZERO:
            return start.astimezone(UTC)
        at = start.astimezone(UTC)
        year = at.year
        open_hours = self._year(year)
        needed = within // MICROSECOND + open_hours.counted_until(_microseconds(at))
        while needed > open_hours.total:
            needed -= open_hours.total
            year += 1
            open_hours = self._year(year)
        return _instant(open_hours.instant_of(needed))

    def elapsed(self, start: datetime, end: datetime) -> timedelta:
        """The open time between two instants; zero if they are the wrong way round."""
        if end <= start:
            return ZERO
        from_, to = start.astimezone(UTC), end.astimezone(UTC)
        counted = self._year(to.year).counted_until(_microseconds(to))
        counted -= self._year(from_.year).counted_until(_microseconds(from_))
        counted += sum(self._year(year).total for year in range(from_.year, to.year))
        return timedelta(microseconds=counted)

    def is_open(self, instant: datetime) -> bool:
        """Whether the instant counts."""
        at = instant.astimezone(UTC)
        open_hours, now = self._year(at.year), _microseconds(at)
        index = bisect_right(open_hours.starts, now) - 1
        return index >= 0 and now < open_hours.ends[index]

    def closes(self, since: datetime, until: datetime) -> list[datetime]:
        """When each local date that lies in the span and has open hours closes; past midnight, if its last range is."""
        day, last = (at.astimezone(self.zone).date() for at in (since, until - MICROSECOND))
        found: list[datetime] = []
        while day <= last:
            ranges = () if day in self._closed_days(day.year) else self._hours.get(day.weekday(), ())
            if ranges:
                minutes = max(open_.to if open_.to > open_.from_ else open_.to + FULL_DAY for open_ in ranges)
                reading = datetime.combine(day, time(0)) + timedelta(minutes=minutes)
                found.append(reading.replace(tzinfo=self.zone).astimezone(UTC))
            day += DAY
        return found

    def working(self, start: datetime, end: datetime) -> list[WorkingInterval]:
        """How the span divides into what counted and what didn't, and why; without holes and in order."""
        pieces: list[WorkingInterval] = []
        at, to = start.astimezone(UTC), end.astimezone(UTC)
        for from_, until in self._open_between(at, to):
            pieces.extend(self._closed_pieces(at, from_))
            pieces.append(WorkingInterval(from_, until, True, "open"))
            at = until
        pieces.extend(self._closed_pieces(at, to))
        return _joined(pieces)

    def _open_between(self, from_: datetime, to: datetime) -> Iterator[tuple[datetime, datetime]]:
        low, high = _microseconds(from_), _microseconds(to)
        for year in range(from_.year, to.year + 1):
            open_hours = self._year(year)
            first = max(bisect_right(open_hours.starts, low) - 1, 0)
            for start, end in zip(open_hours.starts[first:], open_hours.ends[first:], strict=True):
                if start >= high:
                    return
                if end > low:
                    yield _instant(max(start, low)), _instant(min(end, high))

    def _closed_pieces(self, from_: datetime, to: datetime) -> Iterator[WorkingInterval]:
        if from_ >= to:
            return
        for stretch in self._stretches(from_, to):
            for day in stretch.dates():
                midnight = datetime.combine(day, time(0), UTC)
                piece = stretch.clip(midnight, midnight + DAY)
                if piece is not None:
                    reading = (piece[0] + stretch.offset - midnight) // MICROSECOND
                    yield WorkingInterval(*piece, False, self._why_closed(day, reading))

    def _why_closed(self, day: date, reading: int) -> str:
        if (name := self._closed_days(day.year).get(day)) is not None:
            return name
        ranges = self._hours.get(day.weekday(), ())
        if not ranges:
            return "weekend" if day.weekday() in WEEKEND else "closed day"
        minute = reading // 60_000_000
        if any(minute >= open_.from_ for open_ in ranges) and any(minute < open_.from_ for open_ in ranges):
            return "break"
        return "closed hours" if any(open_.to <= open_.from_ for open_ in ranges) else "night"

    def _closed_days(self, year: int) -> Mapping[date, str]:
        days = self._closed.get(year)
        if days is None:
            closed = {day: f"holiday: {name}" for day, name in self._holidays(year).items()}
            closed.update({day: closed.get(day, "extra closed day") for day in self._extra if day.year == year})
            days = self._closed[year] = closed
        return days

    def _year(self, year: int) -> _Year:
        known = self._years.get(year)
        if known is None:
            known = self._years[year] = self._lay_out(year)
        return known

    def _lay_out(self, year: int) -> _Year:
        if not 1 < year < 9999:
            raise OverflowError(f"no calendar for the year {year}")
        intervals: list[tuple[int, int]] = []
        for stretch in self._stretches(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)):
            for wall_from, wall_to in self._wall_ranges(stretch):
                if (clipped := stretch.clip(wall_from, wall_to)) is not None:
                    intervals.append((_microseconds(clipped[0]), _microseconds(clipped[1])))
        starts, ends, before, total = [], [], [], 0
        for start, end in _merged(sorted(intervals)):
            starts.append(start)
            ends.append(end)
            before.append(total)
            total += end - start
        return _Year(tuple(starts), tuple(ends), tuple(before), total)

    def _wall_ranges(self, stretch: _Stretch) -> Iterator[tuple[datetime, datetime]]:
        """The open ranges of the stretch's local dates, and of the date before, whose last range may pass midnight."""
        days = list(stretch.dates())
        for day in [days[0] - DAY, *days]:
            if day in self._closed_days(day.year):
                continue
            midnight = datetime.combine(day, time(0), UTC)
            for open_ in self._hours.get(day.weekday(), ()):
                to = open_.to if open_.to > open_.from_ else open_.to + FULL_DAY
                yield midnight + timedelta(minutes=open_.from_), midnight + timedelta(minutes=to)

    def _stretches(self, from_: datetime, to: datetime) -> Iterator[_Stretch]:
        """The span cut where the zone's offset changes. Wall readings are kept as datetimes marked UTC."""
        at, start, offset = from_, from_, self._offset(from_)
        while at < to:
            following = min(at + OFFSET_SAMPLE, to)
            if self._offset(following) != offset:
                change = self._change_between(at, following)
                if start < change:
                    yield _Stretch(start, change, offset)
                start, offset = change, self._offset(following)
            at = following
        if start < to:
            yield _Stretch(start, to, offset)

    def _change_between(self, before: datetime, after: datetime) -> datetime:
        """The first second with the later offset."""
        low, high, offset = 0, int((after - before).total_seconds()) + 1, self._offset(before)
        base = before.replace(microsecond=0)
        while high - low > 1:
            middle = (low + high) // 2
            if self._offset(base + timedelta(seconds=middle)) == offset:
                low = middle
            else:
                high = middle
        return base + timedelta(seconds=high)

    def _offset(self, instant: datetime) -> timedelta:
        return instant.astimezone(self.zone).utcoffset() or ZERO


def _merged(intervals: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    current: tuple[int, int] | None = None
    for start, end in intervals:
        if current is None:
            current = (start, end)
        elif start <= current[1]:
            current = (current[0], max(current[1], end))
        else:
            yield current
            current = (start, end)
    if current is not None:
        yield current


def _joined(pieces: list[WorkingInterval]) -> list[WorkingInterval]:
    joined: list[WorkingInterval] = []
    for piece in pieces:
        if joined and joined[-1].why == piece.why:
            joined[-1] = joined[-1]._replace(to=piece.to)
        else:
            joined.append(piece)
    return joined


def _microseconds(instant: datetime) -> int:
    return (instant - EPOCH) // MICROSECOND


def _instant(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)
