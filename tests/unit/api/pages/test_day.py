"""What Today works out from what the api tells: comparisons, and the shape of the funnel."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.api.pages.day import Figure, broken, drawn, entered, kept, midnight, monday

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
STAGES = ("lead", "mql", "sal", "sql", "opportunity", "customer")


def steps(*counts: int) -> list[dict[str, Any]]:
    return [{"stage": stage, "entered": count} for stage, count in zip(STAGES, counts, strict=True)]


def breaches(*hours_ago: float) -> list[dict[str, Any]]:
    return [{"breached_at": (NOW - timedelta(hours=hours)).isoformat()} for hours in hours_ago]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 10**7), min_size=6, max_size=6))
def test_the_funnel_is_as_wide_as_its_largest_step_and_each_slope_leads_to_the_next(counts: list[int]) -> None:
    shapes = drawn(steps(*counts))
    for shape, following in itertools.pairwise(shapes):
        assert shape.next_width == following.width
        *_, below = shape.slope.split()
        assert float(below.split(",")[0]) == pytest.approx(following.bar[0], abs=0.006)
    assert shapes[-1].slope == ""
    for shape, count in zip(shapes, counts, strict=True):
        assert (shape.width > 0) == (count > 0)
        assert 0 <= shape.bar[0] <= 50
        assert shape.width == pytest.approx(max(1.0, 100 * count / max(counts)) if count else 0)


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (Figure("x", 5, 2), "3 more than the day before"),
        (Figure("x", 2, 1_205), "1,203 fewer than the day before"),
        (Figure("x", 4, 4), "as many as the day before"),
        (Figure("x", 4, 0), "none the day before"),
        (Figure("x", 0, 0), "as the day before"),
        (Figure("x", 100, 0, is_more=True), "and more"),
    ],
)
def test_a_day_is_compared_in_words(figure: Figure, words: str) -> None:
    assert figure.words == words


def test_who_entered_a_stage_is_compared_stage_by_stage() -> None:
    figures = {figure.name: figure[1:3] for figure in entered(steps(9, 4, 3, 9, 1, 1), steps(7, 5, 3, 9, 0, 2))}
    assert figures["New leads"] == (9, 7)
    assert (figures["Accepted by sales"], figures["Customers won"]) == ((3, 3), (1, 2))


def test_promises_that_were_broken_are_counted_by_day_and_not_beyond_what_is_known() -> None:
    assert broken(breaches(1, 23, 25, 47, 49), NOW, is_all=False)[1:] == (2, 2, False)
    assert broken(breaches(1, 23, 25), NOW, is_all=True)[1:] == (2, 1, False)
    assert broken(breaches(1, 2, 3), NOW, is_all=False)[1:] == (3, 0, True)
    assert broken([], NOW, is_all=True)[1:] == (0, 0, False)


def test_days_and_weeks_begin_where_the_reader_is() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    late = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)  # Monday in Tokyo, Sunday in Greenwich
    assert midnight(late, tokyo).isoformat() == monday(late, tokyo).isoformat() == "2026-11-23T00:00:00+09:00"
    assert monday(late, ZoneInfo("UTC")).isoformat() == "2026-11-16T00:00:00+00:00"


def test_promises_kept_are_those_that_were_decided() -> None:
    rows = [{"met": 3, "breached": 1, "started": 9}, {"met": 0, "breached": 0, "started": 2}]
    assert (kept(rows).met, kept(rows).decided, kept(rows).share) == (3, 4, 0.75)
    assert kept([]).share is None
