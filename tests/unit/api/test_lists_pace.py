"""How long lists rest between slices: for the line, unless they have been behind for minutes."""

import pytest

from services.api.sweeper.lists import BEHIND_SECONDS, REST_SECONDS_MAX, Rests


def test_a_slice_is_followed_by_nine_times_its_time_and_never_by_more_than_five_seconds() -> None:
    rests = Rests()
    assert rests.seconds(0.02, 0.0) == pytest.approx(0.18)
    assert rests.seconds(2.0, 0.0) == REST_SECONDS_MAX


def test_once_every_look_of_five_minutes_left_something_it_is_followed_by_its_own_time() -> None:
    rests = Rests()
    rests.look(30_000, 10.0)
    rests.look(10_000, 200.0)
    assert rests.seconds(0.02, 10.0 + BEHIND_SECONDS - 1) == pytest.approx(0.18)
    assert rests.seconds(0.02, 10.0 + BEHIND_SECONDS) == pytest.approx(0.02)
    rests.look(0, 400.0)
    assert rests.seconds(0.02, 400.0) == pytest.approx(0.18)


def test_a_look_that_leaves_nothing_begins_the_five_minutes_anew() -> None:
    rests = Rests()
    for left, now in ((5, 0.0), (0, 299.0), (5, 300.0)):
        rests.look(left, now)
    assert rests.seconds(0.02, 599.0) == pytest.approx(0.18)
    assert rests.seconds(0.02, 600.0) == pytest.approx(0.02)
