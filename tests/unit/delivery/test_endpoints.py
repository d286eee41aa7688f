"""What an endpoint may still bear, and when it is left alone for good."""

from datetime import timedelta

import pytest
from builders import NOON
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.model.attempts import Outcome
from services.delivery.model.endpoints import Bucket, DisabledReason, Window, disabling
from services.delivery.model.handshakes import consent, origin_of

DAYS_5 = timedelta(days=5)


@pytest.mark.parametrize(
    ("outcome", "failing_for", "why"),
    [
        (Outcome.GONE, None, DisabledReason.GONE),
        (Outcome.FAILED, None, None),
        (Outcome.FAILED, DAYS_5 - timedelta(seconds=1), None),
        (Outcome.FAILED, DAYS_5, DisabledReason.FAILING),
        (Outcome.TIMED_OUT, timedelta(days=9), DisabledReason.FAILING),
        (Outcome.DELIVERED, timedelta(days=9), None),
    ],
)
def test_gone_disables_at_once_and_failing_after_five_days(
    outcome: Outcome, failing_for: timedelta | None, why: DisabledReason | None
) -> None:
    assert disabling(outcome, None if failing_for is None else NOON - failing_for, NOON) == why


@given(most=st.integers(1, 100), outcomes=st.lists(st.booleans(), max_size=60))
def test_a_window_stays_within_its_bounds_and_grows_with_success_only(most: int, outcomes: list[bool]) -> None:
    window = Window(most)
    for succeeded in outcomes:
        before = window.size
        window.note(succeeded=succeeded)
        assert 1 <= window.size <= most
        assert (window.size >= before) is succeeded or window.size == before
        assert window.is_failing is not succeeded


def test_an_endpoint_that_fails_soon_holds_one_try_and_one_that_recovers_soon_all() -> None:
    window = Window(16)
    for _ in range(5):
        window.note(succeeded=False)
    assert window.size == 1
    for _ in range(15):
        window.note(succeeded=True)
    assert window.size == 16


@given(rate=st.floats(0.1, 100), waits=st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_no_more_tries_than_the_rate_and_a_burst_of_one_second(rate: float, waits: list[float]) -> None:
    bucket, now, taken = Bucket(rate), 1000.0, 0
    for wait in waits:
        now += wait
        taken += bucket.wait_seconds(now) == 0.0
    assert taken <= max(rate, 1.0) + rate * (now - 1000.0) + 1e-6


def test_who_waits_as_long_as_told_gets_its_try() -> None:
    bucket = Bucket(4.0)
    assert bucket.wait_seconds(0.0) == 0.0
    wait = bucket.wait_seconds(0.0)
    assert 0 < wait <= 0.25
    assert bucket.wait_seconds(wait + 1e-9) == 0.0


@pytest.mark.parametrize(
    ("headers", "is_rate_asked", "refusal", "rate"),
    [
        ({"WebHook-Allowed-Origin": "accord.example", "WebHook-Allowed-Rate": "120"}, True, None, 2.0),
        ({"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": "*"}, True, None, None),
        ({"WebHook-Allowed-Origin": "*"}, False, None, None),
        ({"WebHook-Allowed-Origin": "*"}, True, "did not answer with WebHook-Allowed-Rate", None),
        ({}, False, "did not answer with WebHook-Allowed-Origin", None),
        ({"WebHook-Allowed-Origin": "other.example"}, False, "allows another origin than this Accord's", None),
    ],
)
def test_consent_is_what_the_headers_say(
    headers: dict[str, str], is_rate_asked: bool, refusal: str | None, rate: float | None
) -> None:
    assert consent(headers, "accord.example", is_rate_asked=is_rate_asked) == (refusal, rate)


@pytest.mark.parametrize("rate", ["0", "-1", "fast", "1.5", "²"])
def test_a_rate_that_is_none_is_no_consent(rate: str) -> None:
    allowed = {"WebHook-Allowed-Origin": "*", "WebHook-Allowed-Rate": rate}
    assert consent(allowed, "accord.example", is_rate_asked=True).refusal is not None


def test_an_accord_is_known_to_endpoints_by_its_name_in_dns() -> None:
    assert origin_of("https://Accord.example:8080/below") == "accord.example"
    assert origin_of("nonsense") == "accord"
