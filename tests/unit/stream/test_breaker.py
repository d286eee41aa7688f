"""When a partition stops: more than 20 dead letters in a row, or more than 50 among the last 1,000 events."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.stream.breaker import IN_A_ROW_MAX, IN_WINDOW_MAX, WINDOW_EVENTS, Breaker


def after(outcomes: list[int]) -> Breaker:
    """A positive number is as many successes in one step, 0 a dead letter."""
    breaker = Breaker()
    for outcome in outcomes:
        breaker = breaker.after_success(outcome) if outcome else breaker.after_dead_letter("1")
    return breaker


def test_the_limits_are_those_of_the_design() -> None:
    assert (IN_A_ROW_MAX, IN_WINDOW_MAX, WINDOW_EVENTS) == (20, 50, 1_000)


def test_twenty_in_a_row_go_on_and_one_more_stops() -> None:
    assert not after([0] * 20).is_stopped
    assert after([0] * 21).is_stopped


def test_one_success_begins_the_row_anew() -> None:
    assert not after([0] * 20 + [1] + [0] * 20).is_stopped
    assert after([0] * 20 + [1] + [0] * 21).is_stopped


def test_fifty_among_a_thousand_go_on_and_one_more_stops() -> None:
    assert not after([0, 9] * 50).is_stopped
    assert after([0, 9] * 50 + [0]).is_stopped


@pytest.mark.parametrize(("successes", "stops"), [(949, True), (950, False)])
def test_only_the_last_thousand_events_count(successes: int, stops: bool) -> None:
    # The first of 51 letters is the 1,000th or the 1,001st event from the end.
    spread = [0, 1] * 49
    assert after([0, successes - 49, *spread, 0]).is_stopped is stops


def test_a_letter_in_twenty_one_events_never_stops() -> None:
    assert not after([0, 20] * 500).is_stopped


def test_a_breaker_without_letters_is_the_same_object_after_successes() -> None:
    quiet = Breaker()
    assert quiet.after_success(500) is quiet
    assert after([0, 1_000]) == Breaker(release="1")


@pytest.mark.parametrize(("release", "goes_on"), [("1", False), ("2", True)])
def test_a_stop_ends_with_another_release_only(release: str, goes_on: bool) -> None:
    stopped = after([0] * 21)
    assert stopped.at_start(release).is_stopped is not goes_on
    assert not goes_on or stopped.at_start(release) == Breaker()


def test_a_count_that_did_not_stop_survives_another_release() -> None:
    running = after([0] * 20)
    assert running.at_start("2") is running


@given(st.lists(st.integers(0, 600), max_size=120))
def test_it_counts_as_one_who_looks_at_every_event(outcomes: list[int]) -> None:
    events: list[bool] = []
    stopped = False
    breaker = Breaker()
    for outcome in outcomes:
        if outcome:
            breaker = breaker.after_success(outcome)
            events.extend([False] * outcome)
            continue
        breaker = breaker.after_dead_letter("1")
        events.append(True)
        stopped = (all(events[-21:]) and len(events) > 20) or sum(events[-1_000:]) > 50
        assert breaker.is_stopped is stopped
        assert len(breaker.letters) == sum(events[-1_000:])


@given(st.lists(st.integers(0, 600), max_size=40))
def test_it_survives_json(outcomes: list[int]) -> None:
    breaker = after(outcomes)
    assert Breaker.from_json(json.loads(json.dumps(breaker.to_json()))) == breaker
