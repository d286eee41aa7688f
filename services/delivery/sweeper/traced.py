"""A span for each try to deliver: it continues the trace that the event carries, and the receiver may continue it."""

from datetime import datetime
from urllib.parse import urlsplit

from services.delivery.model.attempts import Outcome, Try
from services.delivery.model.messages import traceparent_of
from services.delivery.model.subscriptions import Subscription
from services.delivery.store.claims import Claimed
from services.delivery.sweeper.sender import Post
from shared.telemetry.spans import Attribute, Spans
from shared.telemetry.tracing import valid_traceparent


class TracedPost:
    """Implements `Post` around another."""

    def __init__(self, post: Post, spans: Spans) -> None:
        self._post = post
        self._spans = spans

    async def __call__(self, subscription: Subscription, delivery: Claimed, now: datetime) -> Try:
        attributes: dict[str, Attribute] = {
            "http.request.method": "POST",
            "accord.delivery_id": str(delivery.delivery_id),
            "accord.subscription_id": str(delivery.subscription_id),
            **_server(subscription.url),
        }
        if delivery.attempts:
            attributes["http.request.resend_count"] = delivery.attempts
        parent = valid_traceparent(traceparent_of(delivery.body))
        span = self._spans.begin("deliver", "client", attributes, parent=parent)
        tried = await self._post(subscription, delivery._replace(traceparent=span.traceparent), now)
        if tried.status is not None:
            span.set({"http.response.status_code": tried.status})
        span.end(None if tried.outcome is Outcome.DELIVERED else str(tried.outcome))
        return tried


def _server(url: str) -> dict[str, Attribute]:
    """Host and port alone: paths and queries of webhooks are often secrets."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return {}
    return {"server.address": parts.hostname, "server.port": port} if parts.hostname else {}
