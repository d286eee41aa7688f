"""Business time against known cases, and against an oracle that looks at every minute."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.agreement.calendar import BusinessCalendar, OpenRange
from shared.agreement.holidays import country_holidays
from shared.agreement.values import open_range

NEW_YORK = ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def weekdays(*ranges: str) -> dict[int, list[OpenRange]]:
    return {weekday: [open_range(text) for text in ranges] for weekday in range(5)}


def new_york(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=NEW_YORK)


OFFICE = BusinessCalendar("America/New_York", weekdays("09:00-17:00"))
WITH_LUNCH = BusinessCalendar("America/New_York", weekdays("09:00-12:00", "13:00-17:00"))


@pytest.mark.parametrize(
    ("calendar", "start", "hours", "deadline"),
    [
        (OFFICE, new_york(2026, 3, 14, 15), 1, new_york(2026, 3, 16, 10)),
        (OFFICE, new_york(2026, 3, 14, 22), 4, new_york(2026, 3, 16, 13)),
        (WITH_LUNCH, new_york(2026, 3, 16, 11, 30), 1, new_york(2026, 3, 16, 13, 30)),
        (OFFICE, new_york(2026, 3, 16, 9), 8, new_york(2026, 3, 16, 17)),
        (OFFICE, new_york(2026, 3, 16, 17), 1, new_york(2026, 3, 17, 10)),
        (OFFICE, new_york(2026, 3, 14, 15), 0, new_york(2026, 3, 14, 15)),
        (OFFICE, new_york(2026, 12, 31, 16), 3, new_york(2027, 1, 1, 11)),
    ],
)
def test_a_deadline_is_the_earliest_instant_by_which_the_time_has_been_counted(
    calendar: BusinessCalendar, start: datetime, hours: int, deadline: datetime
) -> None:
    assert calendar.deadline(start, hours * HOUR) == deadline


def test_a_range_past_midnight_belongs_to_its_first_day() -> None:
    calendar = BusinessCalendar("America/New_York", weekdays("22:00-06:00"), extra=[date(2026, 3, 17)])
    # The night from Friday reaches into Saturday; no night begins on Saturday or Sunday.
    assert calendar.is_open(new_york(2026, 3, 14, 5, 59))
    assert not calendar.is_open(new_york(2026, 3, 14, 6))
    assert not calendar.is_open(new_york(2026, 3, 16, 1))
    # Monday's night goes on into the closed Tuesday; Tuesday's own doesn't begin.
    assert calendar.is_open(new_york(2026, 3, 17, 1))
    assert not calendar.is_open(new_york(2026, 3, 17, 23))
    assert not calendar.is_open(new_york(2026, 3, 18, 1))


def test_hours_that_daylight_saving_skips_or_repeats_count_as_they_elapse() -> None:
    sundays = BusinessCalendar("America/New_York", {6: [open_range("00:00-06:00")]})
    assert sundays.elapsed(new_york(2026, 3, 8), new_york(2026, 3, 9)) == 5 * HOUR
    assert sundays.elapsed(new_york(2026, 11, 1), new_york(2026, 11, 2)) == 7 * HOUR
    repeated = BusinessCalendar("America/New_York", {6: [open_range("01:15-01:45")]})
    # 01:15 to 01:45 comes twice, with half an hour between the two.
    assert repeated.deadline(new_york(2026, 11, 1), HOUR) == datetime(2026, 11, 1, 6, 45, tzinfo=UTC)
    skipped = BusinessCalendar("America/New_York", {6: [open_range("02:00-03:00")]})
    assert skipped.elapsed(new_york(2026, 3, 8), new_york(2026, 3, 9)) == timedelta(0)


def test_a_local_day_that_the_zone_skipped_does_not_count() -> None:
    # Samoa went from Thursday 29 December 2011 straight to Saturday the 31st.
    samoa = BusinessCalendar("Pacific/Apia", {weekday: [open_range("00:00-24:00")] for weekday in (3, 4)})
    start = datetime(2011, 12, 29, tzinfo=ZoneInfo("Pacific/Apia"))
    assert samoa.elapsed(start, start + timedelta(days=4)) == timedelta(days=1)


def test_holidays_and_extra_days_are_closed_and_named() -> None:
    calendar = BusinessCalendar(
        "America/New_York",
        weekdays("09:00-12:00", "13:00-17:00"),
        holidays=country_holidays("US", "NY"),
        extra=[date(2026, 12, 24)],
    )
    start, end = new_york(2026, 12, 23, 11), new_york(2026, 12, 28, 10)
    working = calendar.working(start, end)
    assert [(piece.counted, piece.why) for piece in working] == [
        (True, "open"),
        (False, "break"),
        (True, "open"),
        (False, "night"),
        (False, "extra closed day"),
        (False, "holiday: Christmas Day"),
        (False, "weekend"),
        (False, "night"),
        (True, "open"),
    ]
    assert working[0].from_ == start
    assert working[-1].to == end
    assert all(left.to == right.from_ for left, right in pairwise(working))
    counted = sum((piece.to - piece.from_ for piece in working if piece.counted), timedelta(0))
    assert counted == calendar.elapsed(start, end) == 6 * HOUR


def test_a_working_day_without_hours_is_a_closed_day_and_the_day_of_a_night_shift_is_closed_hours() -> None:
    hours = {0: [open_range("22:00-06:00")]}
    calendar = BusinessCalendar("UTC", hours)
    tuesday_noon = datetime(2026, 3, 17, 12, tzinfo=UTC)
    assert calendar.working(tuesday_noon, tuesday_noon + HOUR)[0].why == "closed day"
    monday_noon = tuesday_noon - timedelta(days=1)
    assert calendar.working(monday_noon, monday_noon + HOUR)[0].why == "closed hours"


@pytest.mark.parametrize("language", ["C", "uk", "en_US"])
def test_holidays_have_the_names_of_their_country_whatever_the_language_of_the_process(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", language)
    assert country_holidays("DE")(2026)[date(2026, 1, 1)] == "Neujahr"


def test_a_holiday_that_is_moved_into_the_year_before_is_closed_there() -> None:
    # New Year's Day of 2028 is a Saturday, so offices are closed on Friday, 31 December 2027.
    calendar = BusinessCalendar("America/New_York", weekdays("09:00-17:00"), holidays=country_holidays("US"))
    start = new_york(2027, 12, 30, 16)
    assert calendar.deadline(start, 2 * HOUR) == new_york(2028, 1, 3, 10)
    assert "holiday: New Year's Day (observed)" in [piece.why for piece in calendar.working(start, start + 30 * HOUR)]


def test_the_cost_of_a_deadline_does_not_grow_with_its_span() -> None:
    # Counted in looks at the calendar's years: a span of a year makes two.
    looks: list[int] = []

    class Counting(BusinessCalendar):
        def _year(self, year: int) -> Any:
            looks.append(year)
            return super()._year(year)

    calendar = Counting("America/New_York", weekdays("09:00-17:00"))
    for within, expected in ((HOUR, 1), (160 * HOUR, 1), (4000 * HOUR, 2)):
        looks.clear()
        calendar.deadline(new_york(2026, 1, 5, 9), within)
        assert len(looks) == expected


def test_overlapping_ranges_count_once() -> None:
    calendar = BusinessCalendar("UTC", {0: [open_range("09:00-12:00"), open_range("11:00-14:00")]})
    monday = datetime(2026, 3, 16, tzinfo=UTC)
    assert calendar.elapsed(monday, monday + timedelta(days=7)) == 5 * HOUR


def test_a_span_the_wrong_way_round_counts_nothing() -> None:
    assert OFFICE.elapsed(new_york(2026, 3, 17), new_york(2026, 3, 16)) == timedelta(0)


# Instants near which clocks change, days are skipped or begin at one o'clock, or nothing happens at all.
TURNING_POINTS = [
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2025, 3, 29, 22, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2027, 1, 1, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 2, 15, 2, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2026, 4, 4, 14, tzinfo=UTC)),
    ("Pacific/Chatham", datetime(2026, 9, 26, 14, tzinfo=UTC)),
    ("America/St_Johns", datetime(2026, 3, 8, 5, 30, tzinfo=UTC)),
    ("America/St_Johns", datetime(2026, 12, 31, 20, tzinfo=UTC)),
    ("UTC", datetime(2028, 2, 29, tzinfo=UTC)),
]
MINUTES_OF_DAY = st.sampled_from([0, 30, 60, 90, 120, 150, 180, 540, 720, 780, 1020, 1380, 1439])
RANGES = st.lists(
    st.builds(OpenRange, MINUTES_OF_DAY, MINUTES_OF_DAY | st.just(1440)).filter(lambda open_: open_.from_ != open_.to),
    max_size=3,
)
HOURS = st.dictionaries(st.integers(0, 6), RANGES, min_size=1)


class Oracle:
    """ACCORD.md's definition of an open instant, asked of every minute."""

    def __init__(self, zone: str, hours: dict[int, list[OpenRange]], closed: set[date]) -> None:
        self.zone, self.hours, self.closed = ZoneInfo(zone), hours, closed

    def is_open(self, instant: datetime) -> bool:
        local = instant.astimezone(self.zone)
        minute, today = local.hour * 60 + local.minute, local.date()
        yesterday = today - timedelta(days=1)
        for from_, to in () if today in self.closed else self.hours.get(today.weekday(), ()):
            if from_ <= minute and (minute < to or to <= from_):
                return True
        late = () if yesterday in self.closed else self.hours.get(yesterday.weekday(), ())
        return any(to <= from_ and minute < to for from_, to in late)

    def minutes(self, start: datetime, count: int) -> list[bool]:
        return [self.is_open(start + index * MINUTE) for index in range(count)]


@settings(max_examples=40, deadline=None)
@given(
    place=st.sampled_from(TURNING_POINTS),
    hours=HOURS,
    closed=st.sets(st.integers(-2, 4), max_size=2),
    before=st.integers(0, 3 * 1440),
    length=st.integers(1, 6 * 1440),
    share=st.floats(0.01, 1.0),
)
def test_the_calendar_agrees_with_a_look_at_every_minute(
    place: tuple[str, datetime],
    hours: dict[int, list[OpenRange]],
    closed: set[int],
    before: int,
    length: int,
    share: float,
) -> None:
    zone, turning_point = place
    days_closed = {turning_point.date() + timedelta(days=offset) for offset in closed}
    calendar = BusinessCalendar(zone, hours, extra=days_closed)
    start = turning_point - before * MINUTE
    minutes = Oracle(zone, hours, days_closed).minutes(start, length)
    counted = sum(minutes)
    assert calendar.elapsed(start, start + length * MINUTE) == counted * MINUTE
    working = calendar.working(start, start + length * MINUTE)
    assert sum(((piece.to - piece.from_) for piece in working), timedelta(0)) == length * MINUTE
    assert sum(((piece.to - piece.from_) for piece in working if piece.counted), timedelta(0)) == counted * MINUTE
    if counted:
        wanted = max(1, round(counted * share))
        needed = [index for index, is_open in enumerate(minutes) if is_open][wanted - 1]
        assert calendar.deadline(start, wanted * MINUTE) == start + (needed + 1) * MINUTE


@settings(max_examples=60, deadline=None)
@given(
    after=st.timedeltas(timedelta(0), timedelta(days=2200)),
    within=st.timedeltas(timedelta(microseconds=1), timedelta(days=40)),
    split=st.floats(0.0, 1.0),
)
def test_a_deadline_has_exactly_its_time_before_it_and_spans_add_up(
    after: timedelta, within: timedelta, split: float
) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC) + after
    deadline = WITH_LUNCH.deadline(start, within)
    assert WITH_LUNCH.elapsed(start, deadline) == within
    assert WITH_LUNCH.elapsed(start, deadline - timedelta(microseconds=1)) < within
    middle = start + (deadline - start) * split
    assert WITH_LUNCH.elapsed(start, middle) + WITH_LUNCH.elapsed(middle, deadline) == within


def test_a_deadline_may_take_the_last_open_hour_of_a_year() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    whole_year = OFFICE.elapsed(start, datetime(2027, 1, 1, tzinfo=UTC))
    assert OFFICE.deadline(start, whole_year) == new_york(2026, 12, 31, 17)
    assert OFFICE.deadline(start, whole_year + HOUR) == new_york(2027, 1, 1, 10)
