"""What the answer to a try means."""

from datetime import timedelta

import pytest
from sla_builders import clock_time

from services.delivery.model.attempts import (
    TRIES_MAX,
    WAITS,
    DeliveryState,
    Outcome,
    Try,
    Verdict,
    judge,
    outcome_of,
    retry_after,
)

NOW = clock_time("10:00")


def verdict(outcome: Outcome, attempts: int = 1, *, wait: timedelta | None = None, roll: float = 0.0) -> Verdict:
    return judge(Try(outcome, NOW, 0.1, retry_after=wait), attempts=attempts, now=NOW, roll=roll)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (302, Outcome.REDIRECTED),
        (400, Outcome.REFUSED),
        (410, Outcome.GONE),
        (429, Outcome.ASKED_TO_WAIT),
        (500, Outcome.FAILED),
        (503, Outcome.ASKED_TO_WAIT),
    ],
)
def test_a_status_has_one_meaning(status: int, outcome: Outcome) -> None:
    assert outcome_of(status) is outcome


def test_ten_tries_follow_the_recommended_schedule_of_about_75_hours_and_then_the_delivery_is_dead() -> None:
    total = timedelta()
    for attempts in range(1, TRIES_MAX):
        judged = verdict(Outcome.FAILED, attempts)
        assert judged.state is DeliveryState.PENDING
        assert judged.next_attempt_at is not None
        total += judged.next_attempt_at - NOW
    assert TRIES_MAX == 10
    assert timedelta(hours=75) < total < timedelta(hours=76)
    assert verdict(Outcome.FAILED, TRIES_MAX) == Verdict(DeliveryState.DEAD, None)


def test_jitter_only_lengthens_a_wait_and_by_a_tenth_at_most() -> None:
    assert verdict(Outcome.FAILED, roll=0.999).next_attempt_at == NOW + WAITS[0] * (1 + 0.1 * 0.999)


@pytest.mark.parametrize("outcome", [Outcome.GONE, Outcome.FORBIDDEN_ADDRESS, Outcome.INVALID_SUBSCRIPTION])
def test_what_can_never_succeed_is_not_tried_again(outcome: Outcome) -> None:
    assert verdict(outcome) == Verdict(DeliveryState.DEAD, None)


def test_a_receiver_that_asks_to_wait_is_given_the_time_but_not_more_than_a_day() -> None:
    assert verdict(Outcome.ASKED_TO_WAIT, wait=timedelta(minutes=3)).next_attempt_at == NOW + timedelta(minutes=3)
    assert verdict(Outcome.ASKED_TO_WAIT, wait=timedelta(seconds=1)).next_attempt_at == NOW + WAITS[0]
    assert verdict(Outcome.ASKED_TO_WAIT, wait=timedelta(days=9)).next_attempt_at == NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("120", timedelta(seconds=120)),
        ("99999999999999999999", timedelta(days=1)),
        ("Mon, 02 Mar 2026 10:05:00 GMT", timedelta(minutes=5)),
        ("Mon, 02 Mar 2026 09:00:00 GMT", timedelta(0)),
        ("Mon, 02 Mar 2026 10:05:00 +9999999999999999999", None),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, wait: timedelta | None) -> None:
    assert retry_after(header, NOW) == wait
