"""How pages say times and numbers."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.pages.words import When, count, duration, person, points, share, signed, zone_of

NOW = datetime(2026, 11, 25, 21, 30, tzinfo=UTC)
BERLIN = When(ZoneInfo("Europe/Berlin"), NOW)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (12_000, "3 h 20 min"),
        (86_400, "1 d"),
        (187_200, "2 d 4 h"),
        (-90, "1 min"),
        (None, "–"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_points_have_one_digit_unless_they_are_whole() -> None:
    assert [points(value) for value in (60.0, 42.46, -3.25, 0.04, -0.04, None)] == ["60", "42.5", "−3.2", "0", "0", "–"]
    assert [signed(value) for value in (15, -15, 0, 2.5)] == ["+15", "−15", "0", "+2.5"]


@given(st.floats(0, 1, exclude_max=True))
def test_what_is_not_all_is_never_shown_as_all(value: float) -> None:
    assert share(value) != "100 %"
    assert share(1.0) == "100 %"
    assert share(None) == "–"


def test_counts_are_grouped() -> None:
    assert [count(value) for value in (1_234_567, 12.5, 0, None)] == ["1,234,567", "12.5", "0", "–"]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-11-25T20:00:00Z", "21:00"),
        ("2026-11-25T23:30:00Z", "Thu 26 Nov 00:30"),
        ("2026-11-23T08:05:00Z", "Mon 23 Nov 09:05"),
        ("2025-12-31T22:59:59Z", "Wed 31 Dec 2025 23:59"),
    ],
)
def test_moments_are_in_the_reader_s_zone_and_as_short_as_they_can_be(at: str, words: str) -> None:
    said = BERLIN.moment(at)
    assert said.striptags() == words
    assert at in said


def test_distances_say_on_which_side_of_now() -> None:
    assert BERLIN.ago(NOW - timedelta(minutes=12)).striptags() == "12 min ago"
    assert BERLIN.until(NOW + timedelta(hours=3, minutes=20)).striptags() == "in 3 h 20 min"
    assert BERLIN.ago(NOW).striptags() == "now"
    assert "data-countdown" in BERLIN.until(NOW)
    assert BERLIN.ago(None) == "–"


@given(st.text(max_size=80))
def test_any_zone_a_browser_may_name_is_one_that_we_know_or_utc(name: str) -> None:
    assert zone_of(name).key in (name, "UTC")
    assert zone_of("Asia/Kathmandu").key == "Asia/Kathmandu"
    assert zone_of("../../etc/passwd").key == "UTC"


def test_a_lead_is_called_by_the_best_that_is_known() -> None:
    lead = {"id": "0190c0de-0000-7000-8000-000000000000", "email": "ann@acme.example", "profile": {}}
    assert person({**lead, "profile": {"name": "Ann Lee"}}) == "Ann Lee"
    assert person({**lead, "profile": {"first_name": "Ann", "last_name": "Lee"}}) == "Ann Lee"
    assert person(lead) == "ann@acme.example"
    assert person({**lead, "email": None}) == "Lead 0190c0de"
