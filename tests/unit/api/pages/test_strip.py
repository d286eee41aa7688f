"""A clock's time drawn as a strip."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.api.pages.strip import pieces, place, said, strip
from services.api.pages.words import When

FRIDAY = datetime(2026, 11, 27, 15, 30, tzinfo=UTC)
WHEN = When(ZoneInfo("UTC"), FRIDAY + timedelta(minutes=20))


def working(*parts: tuple[float, bool, str]) -> list[dict[str, Any]]:
    """Pieces of so many hours, one after the other."""
    at, found = FRIDAY, []
    for hours, counted, why in parts:
        to = at + timedelta(hours=hours)
        found.append({"from": at.isoformat(), "to": to.isoformat(), "counted": counted, "why": why})
        at = to
    return found


OVER_THE_WEEKEND = working(
    (0.5, True, "open"), (8, False, "night"), (48, False, "weekend"), (9, False, "night"), (0.5, True, "open")
)
CLOCK = {"met_at": None, "resolved_at": None, "closed_at": None, "working": OVER_THE_WEEKEND}


def test_half_an_hour_before_a_weekend_is_wide_enough_to_be_seen() -> None:
    found = pieces(OVER_THE_WEEKEND)
    assert sum(piece.share for piece in found) == pytest.approx(1)
    assert found[0].share > 0.09
    assert found[2].share == max(piece.share for piece in found)


def test_what_counted_and_what_did_not_is_said_in_words() -> None:
    assert said(pieces(OVER_THE_WEEKEND)) == "1 h counted; not counted: 17 h night, 2 d weekend"
    assert said(pieces(working((2, True, "every hour counts")))) == "2 h counted; not counted: nothing"


def test_now_is_marked_while_the_clock_runs_and_the_stop_afterwards() -> None:
    drawn = strip(CLOCK, WHEN)
    assert 'class="mark now"' in drawn
    assert ">now</text>" in drawn
    met = strip({**CLOCK, "met_at": (FRIDAY + timedelta(minutes=5)).isoformat()}, WHEN)
    assert 'class="mark stopped"' in met
    assert "now</text>" not in met
    cancelled = strip({**CLOCK, "closed_at": FRIDAY.isoformat()}, WHEN)
    assert "mark" not in cancelled
    late = strip(CLOCK, When(ZoneInfo("UTC"), FRIDAY + timedelta(days=9)))
    assert "mark" not in late


def test_a_holiday_s_name_is_text_and_nothing_else() -> None:
    name = 'holiday: "><script>alert(1)</script>'
    drawn = strip({**CLOCK, "working": working((24, False, name), (24, True, "open"))}, WHEN)
    assert "<script>" not in drawn
    assert 'class="piece away"' in drawn
    assert "&lt;script&gt;" in drawn


def test_a_clock_without_time_draws_nothing_that_is_not_a_number() -> None:
    assert "nan" not in strip({**CLOCK, "working": []}, WHEN)
    assert "nan" not in strip({**CLOCK, "working": working((0, True, "open"))}, WHEN)


hours = st.tuples(st.floats(0.01, 400), st.booleans(), st.sampled_from(["open", "night", "weekend"]))


@settings(max_examples=50, deadline=None)
@given(st.lists(hours, min_size=1, max_size=40))
def test_places_on_the_strip_follow_the_time(parts: list[tuple[float, bool, str]]) -> None:
    found = pieces(working(*parts))
    assert found[0].begins == 0
    assert found[-1].begins + found[-1].share == pytest.approx(1)
    places = [place(found, piece.from_ + (piece.to - piece.from_) / 2) for piece in found]
    assert None not in places
    assert places == sorted(place for place in places if place is not None)
    assert place(found, FRIDAY - timedelta(seconds=1)) is None
