"""How long lists rest between slices: for the line, unless they have been behind for minutes."""

import pytest

from services.api.sweeper.lists import BEHIND_SECONDS, REST_SECONDS_MAX, rest_seconds


@pytest.mark.parametrize(
    ("slice_seconds", "behind_seconds", "rest"),
    [
        (0.02, 0.0, 0.18),
        (0.02, BEHIND_SECONDS - 1, 0.18),
        (0.02, BEHIND_SECONDS, 0.02),
        (2.0, 0.0, REST_SECONDS_MAX),
        (2.0, BEHIND_SECONDS, 2.0),
    ],
)
def test_a_slice_is_followed_by_a_rest(slice_seconds: float, behind_seconds: float, rest: float) -> None:
    assert rest_seconds(slice_seconds, behind_seconds) == pytest.approx(rest)
