"""The sender: claims what is due, posts it, records what came of it. As many in flight as each subscription allows.

A process killed between sending and recording sends that one delivery again after its lease, with the same webhook-id.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from services.delivery import store
from services.delivery.handler import Nudge
from services.delivery.metrics import Metrics
from services.delivery.model.attempts import DeliveryState, Outcome, Try, judge
from services.delivery.model.messages import Subscription
from services.delivery.settings import Settings
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS

log = structlog.get_logger()

IDLE_SECONDS: Final = 0.25
BUSY_SECONDS: Final = 0.02
BUSY_FOR: Final = timedelta(seconds=1)
SUBSCRIPTIONS_FOR: Final = timedelta(seconds=1)
BACK_OFF_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 2.0


class Post(Protocol):
    """Sends one delivery and says how it went; raises nothing that a receiver can cause."""

    async def __call__(self, subscription: Subscription, delivery: store.Claimed) -> Try: ...


class Sender:
    """`run` is the loop; `turn` one look for work."""

    def __init__(
        self,
        *,
        pool: Any,
        post: Post,
        clock: Clock,
        roll: Callable[[], float],
        nudge: Nudge,
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._pool = pool
        self._post = post
        self._clock = clock
        self._roll = roll
        self._nudge = nudge
        self._metrics = metrics
        self._settings = settings
        self._lease = timedelta(seconds=settings.timeout_seconds + settings.lease_margin_seconds)
        self._book = store.SubscriptionBook()
        self._read_at: datetime | None = None
        self._in_flight: Counter[UUID] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled; what is in flight then gets a moment to end."""
        busy_until = self._clock.now()
        try:
            while True:
                try:
                    sent = await self.turn()
                except DATABASE_ERRORS as error:
                    log.warning("deliveries_not_claimed", kind=type(error).__name__)
                    await asyncio.sleep(BACK_OFF_SECONDS)
                    continue
                is_busy = bool(sent) or self._clock.now() < busy_until
                if await self._nudge.wait(BUSY_SECONDS if is_busy else IDLE_SECONDS):
                    busy_until = self._clock.now() + BUSY_FOR
                    await asyncio.sleep(BUSY_SECONDS / 4)  # what is committed meanwhile goes along
        finally:
            await self.drain(DRAIN_SECONDS)

    async def turn(self) -> int:
        """Claims what is due and starts sending it; returns how many."""
        now = self._clock.now()
        if self._read_at is None or now - self._read_at >= SUBSCRIPTIONS_FOR:
            await self._book.refresh(self._pool)
            self._read_at = now
        active = {s.subscription_id: s for s in self._book.all if s.is_active}
        room = self._room(active)
        if not room:
            return 0
        claimed = await store.claim(self._pool, room, now=now, lease=self._lease)
        for delivery in claimed:
            self._start(active[delivery.subscription_id], delivery)
        return len(claimed)

    async def drain(self, timeout_seconds: float) -> None:
        """Waits for what is in flight, then gives it up: it is sent again after its lease."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=timeout_seconds)
            for task in left:
                task.cancel()

    def _room(self, active: dict[UUID, Subscription]) -> dict[UUID, int]:
        per_subscription = self._settings.in_flight_per_subscription
        left = self._settings.in_flight - len(self._tasks)
        room: dict[UUID, int] = {}
        # The least busy first, so that the bound of the process, too, is not one subscription's.
        for subscription_id in sorted(active, key=lambda known: self._in_flight[known]):
            free = min(per_subscription - self._in_flight[subscription_id], left)
            if free <= 0:
                self._metrics.in_flight_limit_reached.inc()
                continue
            room[subscription_id] = free
            left -= free
        return room

    def _start(self, subscription: Subscription, delivery: store.Claimed) -> None:
        task = asyncio.create_task(self._deliver(subscription, delivery))
        self._tasks.add(task)
        self._in_flight[subscription.subscription_id] += 1

        def end(ended: asyncio.Task[None]) -> None:
            self._tasks.discard(ended)
            self._in_flight[subscription.subscription_id] -= 1
            self._nudge.give()  # there is room again, and the lead's next delivery may go

        task.add_done_callback(end)

    async def _deliver(self, subscription: Subscription, delivery: store.Claimed) -> None:
        tried = await self._post(subscription, delivery)
        now = self._clock.now()
        verdict = judge(tried, attempts=delivery.attempts + 1, now=now, roll=self._roll())
        try:
            recorded = await store.record(self._pool, delivery, tried, verdict, now)
        except DATABASE_ERRORS as error:
            self._metrics.unrecorded.inc()
            log.warning("delivery_not_recorded", delivery_id=str(delivery.delivery_id), kind=type(error).__name__)
            return
        self._count(tried, delivery, now)
        if not recorded or verdict.state is DeliveryState.DELIVERED:
            return
        ids = {"delivery_id": str(delivery.delivery_id), "subscription_id": str(delivery.subscription_id)}
        log.info(
            "delivery_failed", **ids, outcome=str(tried.outcome), status=tried.status, attempt=delivery.attempts + 1
        )
        if verdict.state is DeliveryState.DEAD:
            self._metrics.dead.inc()
            log.warning("delivery_given_up", **ids, outcome=str(tried.outcome))
        if verdict.disables_subscription:
            self._read_at = None
            self._metrics.disabled.inc()
            log.warning("subscription_disabled", **ids)

    def _count(self, tried: Try, delivery: store.Claimed, now: datetime) -> None:
        self._metrics.attempts.labels(tried.outcome).inc()
        self._metrics.response.observe(tried.latency_seconds)
        if tried.outcome is Outcome.DELIVERED:
            self._metrics.latency.observe(max(0.0, (now - delivery.received_at).total_seconds()))


async def watch_pending(pool: Any, metrics: Metrics, interval_seconds: float) -> None:
    """Keeps the gauge of what is still to be delivered."""
    while True:
        try:
            metrics.pending.set(await store.pending(pool))
        except DATABASE_ERRORS as error:
            log.warning("pending_not_counted", kind=type(error).__name__)
        await asyncio.sleep(interval_seconds)
