"""Times as they are written on the outside."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rfc3339 import parse_instant

NEW_YEAR = datetime(2017, 1, 1, tzinfo=UTC)
YEARS = timedelta(days=365 * 1_000)
INSTANTS = st.timedeltas(-YEARS, YEARS).map(lambda passed: NEW_YEAR + passed)


@given(INSTANTS, st.integers(-1_439, 1_439))
def test_a_time_is_the_instant_that_it_says_in_whatever_offset(instant: datetime, minutes: int) -> None:
    hours, rest = divmod(abs(minutes), 60)
    local = (instant + timedelta(minutes=minutes)).replace(tzinfo=None)
    text = f"{local.isoformat(timespec='microseconds')}{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
    assert parse_instant(text) == instant
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("2016-12-31T23:59:60Z", timedelta()),
        ("2016-12-31t23:59:60.25z", timedelta(seconds=0.25)),
        ("2016-12-31T15:59:60-08:00", timedelta()),
        ("2017-01-01T08:59:60+09:00", timedelta()),
    ],
)
def test_a_leap_second_is_the_second_after_it(text: str, after: timedelta) -> None:
    assert parse_instant(text) == NEW_YEAR + after


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-31T09:30:60Z",
        "2016-12-31T23:59:60-08:00",
        "2016-12-31T23:59:61Z",
        "9999-12-31T23:59:60Z",
        "2016-12-31T23:59:60",
        "2016-12-31T24:00:00Z",
        "2016-12-31",
        "2016-12-31T23:59Z",
        "２０１６-12-31T23:59:59Z",
    ],
)
def test_what_is_no_time_is_told_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="must be an RFC 3339 time with an offset"):
        parse_instant(text)
