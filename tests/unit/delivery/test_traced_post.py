"""A span for each try to deliver: where it belongs, and that it keeps a receiver's secrets."""

import json
from datetime import datetime

import pytest
from builders import NOON, lead_in
from spans import TRACE, TRACE_ID, LocalSpans, SeenSpan

from services.delivery.model.attempts import Outcome, Try
from services.delivery.model.subscriptions import Subscription
from services.delivery.store.claims import Claimed
from services.delivery.sweeper.traced import TracedPost

DELIVERY, SUBSCRIPTION = lead_in(1), lead_in(2)
URL = "https://hooks.example/T0/secret?key=secret"


async def _tried(
    tried: Try, *, url: str = URL, traceparent: str | None = TRACE, attempts: int = 0
) -> tuple[SeenSpan, str | None]:
    """The span, and the `traceparent` that the try itself was given."""
    local, given = LocalSpans(), []

    async def post(subscription: Subscription, delivery: Claimed, now: datetime) -> Try:
        given.append(delivery.traceparent)
        return tried

    subscription = Subscription(SUBSCRIPTION, url, ("*",), None)
    body = json.dumps({"traceparent": traceparent, "data": {"email": "secret"}}, separators=(",", ":"))
    delivery = Claimed(lead_in(0), DELIVERY, SUBSCRIPTION, attempts, NOON, body, "accord.lead.qualified", 1, NOON)
    assert await TracedPost(post, local.spans)(subscription, delivery, NOON) == tried
    (span,) = await local.ended()
    return span, given[0]


async def test_a_try_continues_the_events_trace_and_its_receiver_continues_the_try() -> None:
    span, given = await _tried(Try(Outcome.DELIVERED, NOON, 0.1, status=204))
    assert (span.name, span.kind, span.trace_id, span.parent_id) == (
        "deliver",
        "CLIENT",
        TRACE_ID,
        "00f067aa0ba902b7",
    )
    assert (given, span.is_error) == (f"00-{TRACE_ID}-{span.span_id}-01", False)
    assert span.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 204,
        "server.address": "hooks.example",
        "server.port": 443,
        "accord.delivery_id": str(DELIVERY),
        "accord.subscription_id": str(SUBSCRIPTION),
    }
    assert "secret" not in repr(span)


async def test_a_later_try_that_fails_says_which_and_why() -> None:
    span, _ = await _tried(Try(Outcome.TIMED_OUT, NOON, 15.0), attempts=2)
    assert (span.is_error, span.attributes["error.type"]) == (True, "timed out")
    assert span.attributes["http.request.resend_count"] == 2
    assert "http.response.status_code" not in span.attributes


@pytest.mark.parametrize("traceparent", [None, "junk\r\nx: y"])
async def test_an_event_without_a_valid_trace_begins_one(traceparent: str | None) -> None:
    span, given = await _tried(Try(Outcome.DELIVERED, NOON, 0.1, status=200), traceparent=traceparent)
    assert (span.parent_id, given) == ("", f"00-{span.trace_id}-{span.span_id}-03")


@pytest.mark.parametrize("url", ["https://[broken/secret", "https://hooks.example:port/secret", "secret"])
async def test_an_address_that_is_none_names_no_server(url: str) -> None:
    span, _ = await _tried(Try(Outcome.INVALID_SUBSCRIPTION, NOON, 0.0), url=url)
    assert "server.address" not in span.attributes
