"""A period in days and weeks: what can be counted by day lies in it whole, and nothing is left out or counted twice."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.api.store.periods import DAY, Period, Span

ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Beirut")
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
ROUND = TIMES.map(lambda at: at.replace(hour=0, minute=0, second=0, microsecond=0))
LENGTHS = st.timedeltas(timedelta.resolution, timedelta(days=60)) | st.integers(1, 60).map(lambda days: days * DAY)
PERIODS = st.builds(
    lambda since, length, zone: Period(since, since + length, zone), TIMES | ROUND, LENGTHS, st.sampled_from(ZONES)
)


@settings(max_examples=200, deadline=None)
@given(period=PERIODS, by_week=st.booleans())
def test_whole_days_and_the_rest_are_the_period(period: Period, by_week: bool) -> None:
    days = period.days(by_week=by_week)
    spans = list(days.rest)
    assert all(span.since < span.until for span in spans)
    if by_week:
        assert not any(span.since < week.begins_at < span.until for span in spans for week in period.weeks)
    day = days.first
    while day < days.last:
        if day not in days.cut:
            began = datetime(day.year, day.month, day.day, tzinfo=UTC)
            spans.append(Span(began, began + DAY))
            if by_week:
                assert not any(began < week.begins_at < began + DAY for week in period.weeks)
        day += DAY
    spans.sort()
    assert (spans[0].since, spans[-1].until) == (period.since, period.until)
    assert [span.until for span in spans[:-1]] == [span.since for span in spans[1:]]


@settings(max_examples=200, deadline=None)
@given(period=PERIODS, share=st.floats(0, 1, exclude_max=True))
def test_every_time_lies_in_the_week_that_its_date_says(period: Period, share: float) -> None:
    at = period.since + share * (period.until - period.since)
    week = [week for week in period.weeks if week.begins_at <= at][-1]
    year, number, _ = at.astimezone(ZoneInfo(period.zone)).isocalendar()
    assert week.name == f"{year}-W{number:02}"


@pytest.mark.parametrize("zone", ZONES)
def test_weeks_begin_on_monday_where_the_accord_is(zone: str) -> None:
    period = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC), zone)
    assert len(period.weeks) == 53
    for week in period.weeks:
        local = week.begins_at.astimezone(ZoneInfo(zone))
        assert (local.date(), local.isoweekday()) == (week.monday, 1)
        assert (week.begins_at - timedelta.resolution).astimezone(ZoneInfo(zone)).isoweekday() == 7
