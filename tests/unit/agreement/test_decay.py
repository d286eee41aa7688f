"""Decay, and when a lead falls below the threshold: against closed forms and against a fine sampling."""

from datetime import UTC, datetime, timedelta
from math import log2
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.decay import RuleTotal, below_threshold_at, engagement_at, worth
from shared.agreement.loading import read_accord

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def accord(mql: Any, cap: int | None = None) -> CompiledAccord:
    half_lives = {"fast": "1d", "slow": "30d", "half": "15d", "bad": "10d", "worse": "90d", "kept": "never"}
    rules = [
        {"id": name, "activity": "page.viewed", "points": 1, "half_life": half_life}
        for name, half_life in half_lives.items()
    ]
    engagement = {"rules": rules} if cap is None else {"rules": rules, "cap": cap}
    document = {
        "accord": 1,
        "name": "Test",
        "calendar": {"timezone": "UTC", "hours": {"mon": ["09:00-17:00"]}},
        "scoring": {"engagement": engagement},
        "stages": {"mql": mql},
    }
    return compile_accord(read_accord(document), 1)


def totals(**worths: float) -> dict[str, RuleTotal]:
    return {rule: RuleTotal(value, NOW, 1) for rule, value in worths.items()}


FACTS: dict[str, Any] = {"grade": "A"}


def test_a_grant_halves_with_its_half_life_and_is_worth_nothing_before_it_was_made() -> None:
    assert worth(60, NOW, 14 * DAY, NOW + 14 * DAY) == 30.0
    assert worth(60, NOW, 14 * DAY, NOW) == 60.0
    assert worth(60, NOW, 14 * DAY, NOW - timedelta(microseconds=1)) == 0.0
    assert worth(-30, NOW, None, NOW + 3650 * DAY) == -30.0


def test_engagement_is_the_sum_of_all_worths_between_the_floor_and_the_cap() -> None:
    ruled = accord({"engagement": {"gte": 40}}, cap=100)
    assert engagement_at(totals(fast=40, slow=20), ruled, NOW + DAY) == pytest.approx(20 + 20 * 2 ** (-1 / 30))
    assert engagement_at(totals(fast=400), ruled, NOW) == 100
    assert engagement_at(totals(kept=-30, fast=10), ruled, NOW) == 0


def test_one_decaying_part_falls_below_the_threshold_when_the_formula_says() -> None:
    below = below_threshold_at(totals(fast=80), accord({"engagement": {"gte": 40}}), FACTS, NOW)
    assert below is not None
    assert abs(below - (NOW + DAY)) <= timedelta(microseconds=2)


@pytest.mark.parametrize(
    ("mql", "worths"),
    [
        ({"engagement": {"gte": 40}}, {"fast": 30.0}),  # false now
        ({"engagement": {"gte": 40}}, {"kept": 50.0}),  # never decays
        ({"engagement": {"gte": 40}}, {"kept": 40.0, "fast": 90.0}),  # sinks to the threshold, where it still holds
        ({"engagement": {"gt": 0}}, {"fast": 10.0}),  # halves for ever
        ({"any": [{"engagement": {"gte": 40}}, {"grade": "A"}]}, {"fast": 80.0}),  # holds anyway
        ({"grade": "A"}, {"fast": 80.0}),  # doesn't ask
        ({"engagement": {"gte": 40}}, {"kept": 60.0, "bad": -15.0}),  # only rises
        ({"engagement": {"gte": 0}}, {"fast": 10.0, "kept": -50.0}),  # the floor holds
    ],
)
def test_there_is_no_such_time(mql: Any, worths: dict[str, float]) -> None:
    assert below_threshold_at(totals(**worths), accord(mql), FACTS, NOW) is None


def test_a_dip_between_two_instants_above_the_threshold_is_found() -> None:
    # The fast points go before the bad ones do: a dip of some days, above the threshold before and after.
    ruled, parts = accord({"engagement": {"gte": 40}}), totals(kept=50, fast=40, bad=-20)
    below = below_threshold_at(parts, ruled, FACTS, NOW)
    assert below is not None
    assert engagement_at(parts, ruled, below) < 40 <= engagement_at(parts, ruled, below - timedelta(seconds=1))
    assert engagement_at(parts, ruled, NOW + 60 * DAY) > 40


@pytest.mark.parametrize("bound", ["lt", "lte"])
def test_a_curve_that_rises_above_an_upper_bound_ends_it_too(bound: str) -> None:
    ruled = accord({"engagement": {"gte": 40, bound: 55}})
    below = below_threshold_at(totals(kept=60, bad=-10), ruled, FACTS, NOW)
    assert below is not None
    assert abs(below - (NOW + 10 * DAY)) <= timedelta(microseconds=2)


def test_a_curve_that_rises_from_the_bound_itself_ends_it_at_once() -> None:
    below = below_threshold_at(totals(kept=60, bad=-20), accord({"engagement": {"lte": 40}}), FACTS, NOW)
    assert below is not None
    assert timedelta(0) < below - NOW <= timedelta(microseconds=2)


@pytest.mark.parametrize(
    ("mql", "days"),
    [
        # 70 is a bound for grade C only, and what holds at 40 alone doesn't hold between it and 70.
        ({"any": [{"engagement": {"gte": 40}}, {"engagement": {"gte": 70}, "grade": "C"}]}, 2.0),
        ({"any": [{"engagement": {"gte": 70}}, {"engagement": 40}]}, log2(160 / 70)),
    ],
)
def test_the_threshold_is_the_one_at_which_the_condition_changes(mql: Any, days: float) -> None:
    below = below_threshold_at(totals(fast=160), accord(mql), FACTS, NOW)
    assert below is not None
    assert abs(below - (NOW + days * DAY)) <= timedelta(microseconds=2)


def test_a_cap_holds_the_curve_up_until_the_sum_is_below_it() -> None:
    ruled = accord({"engagement": {"gte": 100}}, cap=100)
    below = below_threshold_at(totals(fast=200), ruled, FACTS, NOW)
    assert below is not None
    assert abs(below - (NOW + DAY)) <= timedelta(microseconds=2)


def test_what_goes_beyond_the_cap_does_not_leave_an_interval_above_it() -> None:
    below = below_threshold_at(totals(fast=160), accord({"engagement": {"gte": 40, "lt": 70}}, cap=60), FACTS, NOW)
    assert below is not None
    assert abs(below - (NOW + 2 * DAY)) <= timedelta(microseconds=2)


def test_a_curve_that_all_but_touches_a_bound_is_decided_on_the_right_side() -> None:
    # 15 + 100·(x - x²) with x = 2^(-t/30d): it turns after 30 days, at 40.
    parts = totals(kept=15, slow=100, half=-100)
    assert below_threshold_at(parts, accord({"engagement": {"lt": 40.0000001}}), FACTS, NOW) is None
    below = below_threshold_at(parts, accord({"engagement": {"lt": 39.9999999}}), FACTS, NOW)
    assert below is not None
    assert abs(below - (NOW + 30 * DAY)) < timedelta(minutes=10)


@settings(max_examples=60, deadline=None)
@given(
    worths=st.fixed_dictionaries(
        {
            "fast": st.integers(0, 100),
            "slow": st.integers(0, 100),
            "bad": st.integers(-100, 0),
            "worse": st.integers(-100, 0),
            "kept": st.integers(-50, 80),
        }
    ),
    low=st.integers(1, 60),
    width=st.integers(10, 100),
    cap=st.sampled_from([None, 60]),
)
def test_no_sample_before_it_is_false_and_it_is_false_itself(
    worths: dict[str, int], low: int, width: int, cap: int | None
) -> None:
    ruled = accord({"engagement": {"gte": low, "lt": low + width}}, cap=cap)
    parts = totals(**{rule: float(value) for rule, value in worths.items()})

    def is_true(when: datetime) -> bool:
        return ruled.is_mql({**FACTS, "engagement": engagement_at(parts, ruled, when)})

    below = below_threshold_at(parts, ruled, FACTS, NOW)
    if not is_true(NOW):
        assert below is None
        return
    samples = [NOW + timedelta(hours=6) * step for step in range(4 * 200)]
    if below is None:
        assert all(is_true(sample) for sample in samples)
    else:
        assert not is_true(below + timedelta(microseconds=2))
        assert all(is_true(sample) for sample in samples if sample < below)
