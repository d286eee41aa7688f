"""When a promise on many leads is behind, kept, broken or corrected (ACCORD.md "Promises")."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from promise_builders import LEADS_PER_WEEK, PromiseHouse, accords_of, change, day

from services.sla_monitor.model.promises import State, announcement_id
from shared.events.promises import PromiseBreached, PromiseCorrected, PromiseWarned, promise_key

ACCEPTANCE = "{id: acceptance, of: sales, share_of: mql, that_reached: sal, at_least: 60%, per: week, warn_at: 50%}"
PIPELINE = "{id: pipeline, of: marketing, share_of: opportunity, sourced_by: marketing, at_least: 40%, per: week}"
EIGHT = LEADS_PER_WEEK.replace("at_least: 10", "at_least: 8")
ONLY_A = LEADS_PER_WEEK.replace("counts: mql", "counts: mql, when: {grade: A}")


def house_of(*promises: str, began: datetime | None = None) -> PromiseHouse:
    """In force since before day 0, and looked at since the week before it."""
    return PromiseHouse(accords_of((day(-30), promises)), began=began or day(-5))


def qualify(house: PromiseHouse, *days: int) -> None:
    """One lead each, at noon."""
    first = len(house.entries) + 1
    house.changes(*(change(number, "mql", day(on, "12:00")) for number, on in enumerate(days, first)))


def test_it_is_judged_from_the_first_period_on_that_it_was_promised_in_from_the_beginning() -> None:
    house = house_of(LEADS_PER_WEEK, began=day(-3))
    house.passes(day(0))
    assert house.said() == []
    assert [row.since for row in house.judged.values()] == [day(0, "0:00")]
    house.passes(day(8))
    assert house.said() == ["tue 17:00 warned 2026-w10: 0 of 10", "mon 00:00 breached 2026-w10: 0 of 10"]


def test_it_is_behind_below_the_agreed_share_of_the_pace_at_a_close_and_says_so_once() -> None:
    house = house_of(LEADS_PER_WEEK)
    qualify(house, 0, 0, 1)  # by Tuesday's close 4 are due: 60 % of that are 2.4
    house.passes(day(2, "16:59"))
    assert house.said() == []
    house.passes(day(4, "18:00"))  # by Wednesday's 6, of which 60 % are 3.6
    assert house.said() == ["wed 17:00 warned 2026-w10: 3 of 10"]
    (warned,) = house.events
    assert isinstance(warned, PromiseWarned)
    assert (warned.pace, warned.warn_at, warned.state) == (6.0, 0.6, "running")


def test_the_close_of_the_first_open_day_is_not_judged() -> None:
    house = house_of(LEADS_PER_WEEK)
    house.passes(day(1, "16:59"))
    assert house.said() == []


def test_a_promise_is_kept_when_its_period_is_over_and_the_target_was_reached() -> None:
    house = house_of(LEADS_PER_WEEK)
    qualify(house, *[0, 1, 2, 3, 4] * 2)
    house.passes(day(7))
    assert house.said() == ["mon 00:00 kept 2026-w10: 10 of 10"]


def test_a_conversion_is_settled_two_weeks_after_its_period() -> None:
    house = house_of(ACCEPTANCE)
    qualify(house, 0, 0, 0, 0, 0)
    house.changes(*(change(number, "sal", day(1)) for number in (1, 2)))
    house.changes(change(3, "sal", day(19)), change(4, "sal", day(21)))
    house.passes(day(20, "23:59"))
    assert house.said() == []
    house.passes(day(21))
    assert house.said() == ["mon 00:00 kept 2026-w10: 0.6 of 0.6"]


def test_a_share_of_nothing_is_kept() -> None:
    house = house_of(PIPELINE)
    house.passes(day(7))
    assert house.said() == ["mon 00:00 kept 2026-w10: none of 0.4"]


def test_amounts_in_another_currency_make_it_a_share_of_leads() -> None:
    house = house_of(PIPELINE)
    sold = {"amount": 900.0, "currency": "EUR"}
    house.changes(change(1, "opportunity", day(0), **sold), change(2, "opportunity", day(1), amount=5.0))
    house.passes(day(7))
    (kept,) = house.events
    assert (kept.reached, kept.numerator, kept.denominator, kept.currency) == (1.0, 2, 2, None)


def test_what_comes_in_after_it_was_settled_is_a_correction() -> None:
    house = house_of(EIGHT)
    qualify(house, *range(7))
    house.passes(day(8, "9:00"))
    late = change(50, "mql", day(6, "23:00"))
    house.changes(late)
    house.looks(day(8, "9:01"))
    breached, corrected = house.events
    assert isinstance(breached, PromiseBreached)
    assert isinstance(corrected, PromiseCorrected)
    assert (corrected.state, corrected.reached) == ("kept", 8)
    assert (corrected.former_state, corrected.former_reached) == ("breached", 7)
    assert house.looks(day(8, "9:02")) == []


def test_a_new_target_counts_for_the_period_that_runs() -> None:
    accords = accords_of((day(-30), [LEADS_PER_WEEK]), (day(3), [EIGHT]), (day(7, "1:00"), [LEADS_PER_WEEK]))
    house = PromiseHouse(accords, began=day(-5))
    qualify(house, *range(7), 0)
    house.passes(day(7, "9:00"))
    assert house.said() == ["mon 00:00 kept 2026-w10: 8 of 8"]
    assert house.events[0].accord == 2


def test_a_version_that_was_overlooked_still_decides_by_its_time() -> None:
    accords = accords_of((day(-30), [LEADS_PER_WEEK]), (day(3), [EIGHT]), (day(7, "1:00"), [LEADS_PER_WEEK]))
    house = PromiseHouse(accords, began=day(-5))
    qualify(house, *range(7), 0)
    house.looks(day(9))  # the first look since before that week
    assert house.said() == ["mon 00:00 kept 2026-w10: 8 of 8"]


@pytest.mark.parametrize("following", [[ONLY_A], []])
def test_a_promise_that_is_taken_back_or_counts_otherwise_is_not_judged_in_that_period(following: list[str]) -> None:
    house = PromiseHouse(accords_of((day(-30), [LEADS_PER_WEEK]), (day(0, "18:00"), following)), began=day(-5))
    house.passes(day(7, "9:00"))
    assert house.said() == []
    assert house.judged["leads-per-week", day(0, "0:00")].state is State.WITHDRAWN
    house.passes(day(14, "9:00"))
    assert house.said() == (
        ["tue 17:00 warned 2026-w11: 0 of 10", "mon 00:00 breached 2026-w11: 0 of 10"] if following else []
    )


def test_a_house_that_was_away_settles_every_period_and_warns_of_none_that_is_over() -> None:
    house = house_of(LEADS_PER_WEEK)
    house.looks(day(30, "9:00"))
    house.looks(day(30, "9:01"))
    assert Counter(said.partition(" 2026")[0] for said in house.said()) == {"mon 00:00 breached": 4}


def test_nothing_is_judged_that_the_line_was_not_read_to() -> None:
    house = house_of(LEADS_PER_WEEK)
    assert house.looks(day(9), read_through=day(6)) == house.events[:1]
    assert [type(event) for event in house.events] == [PromiseWarned]
    house.looks(day(9, "11:00"), read_through=day(7, "0:00"))
    assert isinstance(house.events[-1], PromiseBreached)


LOOKS = st.lists(st.integers(1, 60), min_size=1, max_size=40)
LEADS = st.lists(st.integers(0, 20), max_size=30)


@given(LOOKS, LEADS)
def test_however_often_it_is_looked_each_period_is_settled_once_and_warned_of_at_most_once(
    hours: Sequence[int], days: Sequence[int]
) -> None:
    house, at = house_of(LEADS_PER_WEEK), day(-5)
    qualify(house, *days)
    for passed in hours:
        at += timedelta(hours=passed)
        house.looks(at)
        assert house.looks(at) == []
    told = Counter((event.TYPE.rpartition(".")[2], event.since) for event in house.events)
    assert set(told.values()) <= {1}
    ids = {announcement_id(event, 0) for event in house.events}
    assert len(ids) == len(house.events)
    for event in house.events:
        if not isinstance(event, PromiseWarned):
            expected = sum(event.since <= day(on, "12:00") < event.until for on in days)
            assert (event.reached, event.state) == (expected, "kept" if expected >= 10 else "breached")
            assert event.key == promise_key("leads-per-week")
    assert all(row.state is not State.RUNNING or row.until > at for row in house.judged.values())
