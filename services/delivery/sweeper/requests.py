"""Does what people asked for: queues what is to be told again, and events for a test. Bounded batches, each a
transaction that also says how far the request is: a process that dies leaves it to the next."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from services.delivery.handler import Nudge
from services.delivery.metrics import Metrics
from services.delivery.model.messages import delivery_id, event_facts, own_body, standing_of
from services.delivery.model.subscriptions import Subscription
from services.delivery.store import requests as store
from services.delivery.store.requests import Kept, Request
from services.delivery.store.subscriptions import SubscriptionBook
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS
from shared.events.subscription import TEST

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.5
BATCH_EVENTS: Final = 500
# A request that nobody could carry out in this time is not looked at any more.
OPEN_FOR: Final = timedelta(days=7)


class Requests:
    """`run` looks for requests until cancelled; `turn` does one batch of each that is open."""

    def __init__(self, *, pool: Any, clock: Clock, nudge: Nudge, metrics: Metrics, book: SubscriptionBook) -> None:
        self._pool = pool
        self._clock = clock
        self._nudge = nudge
        self._metrics = metrics
        self._book = book

    async def run(self) -> None:
        while True:
            is_more = False
            try:
                is_more = await self.turn()
            except DATABASE_ERRORS as error:
                log.warning("requests_retried", kind=type(error).__name__)
            await asyncio.sleep(0 if is_more else LOOK_SECONDS)

    async def turn(self) -> bool:
        """Whether there is more to do at once."""
        now = self._clock.now()
        found = await store.open_requests(self._pool, now - OPEN_FOR)
        if not found:
            return False
        book = {s.subscription_id: s for s in await self._book.refresh(self._pool)}
        return any([await self._carry_out(request, book.get(request.subscription_id), now) for request in found])

    async def _carry_out(self, request: Request, subscription: Subscription | None, now: datetime) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            place = await store.lock(connection, request.request_id)
            if place is None:
                return False
            if subscription is None:  # deleted meanwhile
                await store.move(connection, request.request_id, place, added=0, finished_at=now)
                return False
            if request.kind == "test":
                await self._test(connection, request, subscription, now)
                added, is_over = 1, True
            else:
                place, added, is_over = await self._replay(connection, request, subscription, place, now)
            await store.move(connection, request.request_id, place, added=added, finished_at=now if is_over else None)
        self._metrics.requested.labels(request.kind).inc(added)
        self._nudge.give((request.subscription_id,))
        if is_over:
            log.info("request_carried_out", request_id=str(request.request_id), request_kind=request.kind)
        return not is_over

    async def _test(self, connection: Any, request: Request, subscription: Subscription, now: datetime) -> None:
        body = own_body(TEST, request.request_id, subscription, at=now)
        made = delivery_id(request.request_id, subscription.subscription_id)
        await store.add_test(connection, request, delivery_id=made, type=TEST, body=body, now=now)

    async def _replay(
        self, connection: Any, request: Request, subscription: Subscription, place: tuple[int, int], now: datetime
    ) -> tuple[tuple[int, int], int, bool]:
        """Where it goes on, how many deliveries it added, whether that was all."""
        if request.event_ids is not None:
            # Whoever names an event wants it, whatever the subscription asks for otherwise.
            events: Sequence[Kept] = await store.by_id(connection, request.event_ids)
            await self._tell(connection, events, subscription, now)
            return place, len(events), True
        assert request.since is not None
        assert request.until is not None
        first = await store.first_number(connection, request.since, request.until)
        if first is None:
            return place, 0, True
        has_condition = subscription.condition is not None
        events = await store.in_range(
            connection, place, request, first=first, limit=BATCH_EVENTS, with_standing=has_condition
        )
        wanted = [kept for kept in events if _wants(subscription, kept)]
        await self._tell(connection, wanted, subscription, now)
        if len(events) < BATCH_EVENTS:
            return place, len(wanted), True
        return (events[-1].partition, events[-1].number), len(wanted), False

    async def _tell(self, connection: Any, events: Sequence[Kept], subscription: Subscription, now: datetime) -> None:
        if events:
            told = [(kept, delivery_id(kept.event_id, subscription.subscription_id)) for kept in events]
            await store.tell_again(connection, told, subscription.subscription_id, now)


def _wants(subscription: Subscription, kept: Kept) -> bool:
    if not subscription.wants(kept.type):
        return False
    if subscription.condition is None:
        return True
    standing = standing_of(kept.standing) if kept.standing is not None else {}
    return subscription.condition(event_facts(kept.type, kept.data, standing))
