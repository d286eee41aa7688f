"""Deliveries are signed ahead, and what is sent is as if they had been signed then."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from builders import NOON, lead_in
from delivery_builders import ORIGIN, SECRET
from spans import TRACE

from services.delivery.model.signatures import headers
from services.delivery.model.subscriptions import Subscription
from services.delivery.store.claims import Claimed
from services.delivery.sweeper.signer import FRESH_FOR, Message, Signer
from shared.webhook_secrets import InvalidSecret, SigningKey

OTHER_SECRET = "whsec_" + "QUJD" * 9
MOMENT = timedelta(milliseconds=1)


def subscription(secret: str = SECRET, **fields: Any) -> Subscription:
    return Subscription(lead_in(2), "https://crm.example/hook", ("*",), None, keys=(SigningKey(secret),), **fields)


def delivery(number: int = 1, *, body: str = '{"data":{}}', traceparent: str | None = None) -> Claimed:
    due = (lead_in(0), UUID(int=number), lead_in(2), 0, NOON, body, "accord.lead.qualified", number, NOON)
    return Claimed(*due, traceparent)


def as_signed_at(at: datetime, one: Claimed, secret: str = SECRET) -> Message:
    """What the specification asks for."""
    sent = headers(str(one.delivery_id), int(at.timestamp()), one.body.encode(), [secret])
    return Message(one.body.encode(), {**sent, "content-type": "application/cloudevents+json"})


def test_a_message_is_the_same_whether_it_was_signed_ahead_or_not() -> None:
    signer, to = Signer(ORIGIN), subscription()
    signer.sign_ahead(to, [delivery(1)], NOON)
    assert signer.message(to, delivery(1), NOON) == as_signed_at(NOON, delivery(1))
    assert signer.message(to, delivery(2), NOON) == as_signed_at(NOON, delivery(2))


@pytest.mark.parametrize("waited", [FRESH_FOR, FRESH_FOR + MOMENT])
def test_what_waited_for_longer_than_a_second_is_signed_anew(waited: timedelta) -> None:
    signer, to, now = Signer(ORIGIN), subscription(), NOON + waited
    signer.sign_ahead(to, [delivery()], NOON)
    signed_at = NOON if waited <= FRESH_FOR else now
    assert signer.message(to, delivery(), now) == as_signed_at(signed_at, delivery())


def test_what_is_tried_again_is_signed_again() -> None:
    signer, to, now = Signer(ORIGIN), subscription(), NOON + timedelta(minutes=5)
    for at in (NOON, now):
        signer.sign_ahead(to, [delivery()], at)
    assert signer.message(to, delivery(), now) == as_signed_at(now, delivery())


def test_a_secret_that_was_changed_meanwhile_counts() -> None:
    signer, changed = Signer(ORIGIN), subscription(OTHER_SECRET)
    signer.sign_ahead(subscription(), [delivery()], NOON)
    assert signer.message(changed, delivery(), NOON) == as_signed_at(NOON, delivery(), OTHER_SECRET)


def test_a_secret_that_is_none_is_told_when_it_is_asked_for() -> None:
    signer, to = Signer(ORIGIN), subscription("whsec_!")
    signer.sign_ahead(to, [delivery()], NOON)
    with pytest.raises(InvalidSecret):
        signer.message(to, delivery(), NOON)


def test_a_try_has_its_own_trace_rather_than_the_event_s() -> None:
    own = TRACE.replace("00f067aa0ba902b7", "00f067aa0ba902b8")
    signer, to = Signer(ORIGIN), subscription()
    body = f'{{"traceparent":"{TRACE}","data":{{}}}}'
    for one, expected in ((delivery(body=body), TRACE), (delivery(body=body, traceparent=own), own)):
        signer.sign_ahead(to, [one], NOON)
        assert signer.message(to, one, NOON).headers["traceparent"] == expected


def test_who_asked_is_told_to_who_has_agreed() -> None:
    signer = Signer(ORIGIN)
    assert signer.message(subscription(handshake=True), delivery(), NOON).headers["webhook-request-origin"] == ORIGIN
    assert "webhook-request-origin" not in signer.message(subscription(), delivery(), NOON).headers


def test_what_nobody_asked_for_is_forgotten() -> None:
    signer, to = Signer(ORIGIN), subscription()
    signer.sign_ahead(to, [delivery(number) for number in range(100)], NOON)
    signer.sign_ahead(to, [delivery(100)], NOON + FRESH_FOR + MOMENT)
    assert len(signer) == 1
