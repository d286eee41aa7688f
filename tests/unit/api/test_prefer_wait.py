"""`Prefer: wait=N`."""

import pytest

from services.api.routes.actions import wait_seconds


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ("Wait = 7; foo", 7),
        ("wait=600", 30),
        ("wait=-1", None),
        ("awaited=5", None),
        ("wait=abc", None),
    ],
)
def test_the_wait_that_a_caller_prefers(prefer: str | None, seconds: float | None) -> None:
    assert wait_seconds(prefer, 30.0) == seconds
