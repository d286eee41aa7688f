"""What is posted to endpoints, signed. Deliveries are signed as they are claimed, one after the other, which costs less
than signing each between two posts."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from services.delivery.model.messages import traceparent_of
from services.delivery.model.signatures import headers
from services.delivery.model.subscriptions import Subscription
from services.delivery.store.claims import Claimed
from shared.telemetry.tracing import valid_traceparent
from shared.webhook_secrets import InvalidSecret

CLOUD_EVENT: Final = "application/cloudevents+json"
# What has waited for longer since it was signed is signed anew: its time is to be that of the post.
FRESH_FOR: Final = timedelta(seconds=1)


class Message(NamedTuple):
    """What goes to an endpoint."""

    body: bytes
    headers: Mapping[str, str]


class Signed(NamedTuple):
    """A message, and what it was signed by."""

    at: datetime
    subscription: Subscription
    message: Message


class Signer:
    """`origin` is what endpoints know this Accord by that were asked for their consent."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._ahead: dict[UUID, Signed] = {}  # in the order of their time

    def __len__(self) -> int:
        """How many messages it holds."""
        return len(self._ahead)

    def sign_ahead(self, subscription: Subscription, deliveries: Iterable[Claimed], now: datetime) -> None:
        """For `message`, which says what is wrong with what can't be signed. What nobody asked for in time goes."""
        while self._ahead and not _is_fresh(next(iter(self._ahead.values())), now):
            del self._ahead[next(iter(self._ahead))]
        secrets = subscription.secrets_at(now)
        for delivery in deliveries:
            self._ahead.pop(delivery.delivery_id, None)
            with suppress(InvalidSecret):
                self._ahead[delivery.delivery_id] = self._signed(subscription, delivery, secrets, now)

    def message(self, subscription: Subscription, delivery: Claimed, now: datetime) -> Message:
        """Signed a second ago at most, by this subscription as it is now. Raises InvalidSecret."""
        signed = self._ahead.pop(delivery.delivery_id, None)
        if signed is None or signed.subscription is not subscription or not _is_fresh(signed, now):
            signed = self._signed(subscription, delivery, subscription.secrets_at(now), now)
        if delivery.traceparent is None:
            return signed.message
        sent = {**signed.message.headers, **_traced(delivery.traceparent)}
        return signed.message._replace(headers=sent)

    def _signed(self, subscription: Subscription, delivery: Claimed, secrets: Iterable[str], now: datetime) -> Signed:
        body = delivery.body.encode()
        sent = headers(str(delivery.delivery_id), int(now.timestamp()), body, secrets)
        sent["content-type"] = CLOUD_EVENT
        if subscription.handshake:
            sent["webhook-request-origin"] = self._origin
        sent |= _traced(traceparent_of(delivery.body))
        return Signed(now, subscription, Message(body, sent))


def _is_fresh(signed: Signed, now: datetime) -> bool:
    return now - signed.at <= FRESH_FOR


def _traced(traceparent: str | None) -> dict[str, str]:
    """Foreign producers may have put anything into theirs."""
    valid = valid_traceparent(traceparent)
    return {} if valid is None else {"traceparent": valid}
