"""Periods and paces of promises against slow oracles; what is reached and how it stands, by example."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.agreement.calendar import BusinessCalendar
from shared.agreement.document_sla import Promise
from shared.agreement.promises import (
    Pace,
    PromisePeriod,
    PromiseState,
    Reached,
    Tally,
    Unit,
    is_behind,
    pace_of,
    period_at,
    period_before,
    reached_of,
    settles_at,
    state_of,
)
from shared.agreement.values import open_range

# Beirut and Santiago skip midnights, Lord Howe moves by half an hour, Kathmandu is off by quarters.
ZONES = ("UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut")
TIMES = st.datetimes(datetime(2016, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
UNITS: tuple[Unit, ...] = ("week", "month", "quarter")
QUARTER_OF_AN_HOUR = timedelta(minutes=15)
TICK = timedelta.resolution
PERIOD = PromisePeriod("week", datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))


def name_of(unit: Unit, day: date) -> tuple[int, int]:
    """Of the period that a date lies in."""
    if unit == "week":
        return day.isocalendar()[:2]
    return day.year, (day.month if unit == "month" else (day.month + 2) // 3)


@settings(max_examples=300, deadline=None)
@given(unit=st.sampled_from(UNITS), at=TIMES, zone=st.sampled_from(ZONES), part=st.integers(0, 999))
def test_a_period_is_all_instants_whose_dates_have_its_name(unit: Unit, at: datetime, zone: str, part: int) -> None:
    period = period_at(unit, at, ZoneInfo(zone))

    def name(instant: datetime) -> tuple[int, int]:
        return name_of(unit, instant.astimezone(ZoneInfo(zone)).date())

    within = period.since + part * (period.until - period.since) / 1_000
    assert period.since <= at < period.until
    assert {name(period.since), name(within), name(period.until - TICK)} == {name(at)}
    assert name(period.since - TICK) != name(at) != name(period.until)
    assert period_at(unit, within, ZoneInfo(zone)) == period
    before = period_before(period, ZoneInfo(zone))
    assert before.until == period.since
    assert period_at(unit, before.since, ZoneInfo(zone)) == before


def open_pieces(zone: str, since: datetime, until: datetime) -> int:
    """Quarters of an hour that read 09:00 to 17:30 from Monday to Friday, one after the other."""
    pieces, at = 0, since
    while at < until:
        local = at.astimezone(ZoneInfo(zone))
        pieces += local.weekday() < 5 and (9, 0) <= (local.hour, local.minute) < (17, 30)
        at += QUARTER_OF_AN_HOUR
    return pieces


@settings(max_examples=25, deadline=None)
@given(unit=st.sampled_from(UNITS), at=TIMES, zone=st.sampled_from(ZONES), target=st.integers(1, 1_000))
def test_the_pace_is_pro_rata_of_quarters_of_an_hour_that_were_open(
    unit: Unit, at: datetime, zone: str, target: int
) -> None:
    now = at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0)
    calendar = BusinessCalendar(zone, {weekday: [open_range("09:00-17:30")] for weekday in range(5)})
    period = period_at(unit, now, calendar.zone)
    pace = pace_of(target, period, calendar, now)
    elapsed, total = open_pieces(zone, period.since, now), open_pieces(zone, period.since, period.until)
    assert (pace.open_elapsed, pace.open_total) == (elapsed * QUARTER_OF_AN_HOUR, total * QUARTER_OF_AN_HOUR)
    assert pace.due == pytest.approx(target * elapsed / total)
    over = pace_of(target, period, calendar, period.until + timedelta(days=100))
    assert (over.due, over.open_elapsed) == (target, over.open_total)


def test_nothing_is_due_in_a_week_without_an_open_hour() -> None:
    calendar = BusinessCalendar("UTC", {0: [open_range("09:00-17:00")]}, extra=[date(2026, 11, 2)])
    assert pace_of(120, PERIOD, calendar, PERIOD.until) == Pace(0.0, timedelta(0), timedelta(0))


def promise(**fields: Any) -> Promise:
    terms = {"counts": "mql"} if "share_of" not in fields else {}
    target = 4 if terms else "40%"
    return Promise.model_validate({"id": "x", "of": "marketing", "at_least": target, "per": "week", **terms, **fields})


PIPELINE = {"share_of": "opportunity", "sourced_by": "marketing"}
IN_DOLLARS = Tally(entries=4, counted=1, amount=100.0, counted_amount=75.0)


@pytest.mark.parametrize(
    ("terms", "tally", "reached"),
    [
        ({}, Tally(3, 3), Reached(3, 3, None, is_amount=False, falls_back_to_counts=False)),
        (PIPELINE, IN_DOLLARS, Reached(0.75, 75.0, 100.0, is_amount=True, falls_back_to_counts=False)),
        (
            PIPELINE,
            IN_DOLLARS._replace(other_currencies=1),
            Reached(0.25, 1, 4, is_amount=False, falls_back_to_counts=True),
        ),
        (
            {"share_of": "mql", "sourced_by": "sales"},
            Tally(4, 1),
            Reached(0.25, 1, 4, is_amount=False, falls_back_to_counts=False),
        ),
        (
            {"share_of": "opportunity", "that_reached": "customer"},
            IN_DOLLARS,
            Reached(0.25, 1, 4, is_amount=False, falls_back_to_counts=False),
        ),
        (PIPELINE, Tally(0, 0), Reached(None, 0.0, 0.0, is_amount=True, falls_back_to_counts=False)),
    ],
)
def test_what_was_reached_is_a_count_or_a_share_of_amounts_or_of_leads(
    terms: dict[str, Any], tally: Tally, reached: Reached
) -> None:
    assert reached_of(promise(**terms), tally) == reached


def test_a_count_settles_with_its_period_and_a_conversion_two_weeks_later_unless_it_says_otherwise() -> None:
    conversion = {"share_of": "mql", "that_reached": "sal"}
    assert settles_at(promise(), PERIOD) == PERIOD.until
    assert settles_at(promise(**conversion), PERIOD) == PERIOD.until + timedelta(days=14)
    assert settles_at(promise(**conversion, settles_after="0d"), PERIOD) == PERIOD.until
    assert settles_at(promise(settles_after="2d"), PERIOD) == PERIOD.until + timedelta(days=2)


def test_a_promise_runs_until_its_period_ends_settles_and_is_kept_or_breached() -> None:
    later = promise(settles_after="2d")
    assert state_of(later, PERIOD, 9, PERIOD.until - TICK) is PromiseState.RUNNING
    assert state_of(later, PERIOD, 9, PERIOD.until) is PromiseState.SETTLING
    settled = PERIOD.until + timedelta(days=2)
    assert state_of(later, PERIOD, 9, settled - TICK) is PromiseState.SETTLING
    assert [state_of(later, PERIOD, reached, settled) for reached in (3, 4, None)] == [
        PromiseState.BREACHED,
        PromiseState.KEPT,
        PromiseState.KEPT,
    ]


def test_it_is_behind_below_the_share_of_the_pace_at_which_it_warns() -> None:
    pace = Pace(5.0, timedelta(hours=1), timedelta(hours=2))
    warned = promise(warn_at="60%")
    assert [is_behind(warned, reached, pace) for reached in (2, 3, None)] == [True, False, False]
    assert not is_behind(promise(), 0, pace)
