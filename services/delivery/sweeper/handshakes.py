"""The consent that CloudEvents' webhook specification asks for: an endpoint is asked before it is told anything."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from services.delivery.model.attempts import Outcome
from services.delivery.model.handshakes import Consent, consent
from services.delivery.model.subscriptions import State, Subscription
from services.delivery.store import endpoints
from services.delivery.store.subscriptions import SubscriptionBook
from services.delivery.sweeper.posting import HttpPost
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.5
AGAIN_AFTER: Final = timedelta(minutes=1)


class Handshakes:
    """Asks each endpoint that has not agreed, at most once a minute among all processes."""

    def __init__(
        self,
        *,
        pool: Any,
        post: HttpPost,
        clock: Clock,
        book: SubscriptionBook,
        origin: str,
    ) -> None:
        self._pool = pool
        self._post = post
        self._clock = clock
        self._book = book
        self._origin = origin

    async def run(self) -> None:
        while True:
            try:
                await self.turn()
            except DATABASE_ERRORS as error:
                log.warning("handshakes_retried", kind=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def turn(self) -> None:
        """Asks whoever is due, all at once."""
        now = self._clock.now()
        open_ = [s for s in await self._book.refresh(self._pool) if s.state is State.UNCONFIRMED]
        await asyncio.gather(*(self._ask(subscription, now) for subscription in open_))

    async def _ask(self, subscription: Subscription, now: datetime) -> None:
        id_ = subscription.subscription_id
        if not await endpoints.begin_asking(self._pool, id_, subscription.enabling, now=now, again=now - AGAIN_AFTER):
            return
        answer = await self._answer(subscription)
        await endpoints.note_consent(self._pool, id_, subscription.url, answer)
        log.info("endpoint_asked", subscription_id=str(id_), agreed=answer.refusal is None)

    async def _answer(self, subscription: Subscription) -> Consent:
        asked = {"WebHook-Request-Origin": self._origin}
        if subscription.rate_per_second is not None:
            asked["WebHook-Request-Rate"] = str(max(1, int(subscription.rate_per_second * 60)))
        answered = await self._post.ask(subscription, asked)
        if isinstance(answered, Outcome):
            return Consent(f"could not be asked: {answered}")
        return consent(answered, self._origin, is_rate_asked="WebHook-Request-Rate" in asked)
