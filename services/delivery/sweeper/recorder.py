"""Keeps what came of tries: all that ended while the last ones were written, and shortly after, go into the next
statement.

What can't be written is written again until its lease is over; then whoever claims the delivery makes it again."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from services.delivery.metrics import Metrics
from services.delivery.model.attempts import DeliveryState, Outcome
from services.delivery.model.endpoints import disabling
from services.delivery.model.messages import delivery_id, notified, own_body
from services.delivery.model.subscriptions import Subscription
from services.delivery.store import records, subscriptions
from services.delivery.store.records import Tried
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS
from shared.events.envelope import derived_id
from shared.events.subscription import DISABLED

log = structlog.get_logger()

BATCH_MAX: Final = 500
GATHER_SECONDS: Final = 0.005
BACK_OFF_SECONDS: Final = 0.5


class Recorder:
    """`run` writes until cancelled; `flush` writes what is there. `others` are the subscriptions that may want to know
    that one was disabled; `on_recorded` is told which subscriptions have had something written."""

    def __init__(
        self,
        *,
        pool: Any,
        clock: Clock,
        metrics: Metrics,
        others: Callable[[], Iterable[Subscription]],
        on_recorded: Callable[[set[UUID]], None],
        on_disabled: Callable[[], None],
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._metrics = metrics
        self._others = others
        self._on_recorded = on_recorded
        self._on_disabled = on_disabled
        self._tries: list[tuple[Subscription, Tried]] = []
        self._has_come = asyncio.Event()
        self._writing = asyncio.Lock()
        # Since when endpoints fail, where that is newer than what the book says.
        self._failing: dict[UUID, datetime | None] = {}

    def add(self, subscription: Subscription, tried: Tried) -> None:
        self._tries.append((subscription, tried))
        self._has_come.set()

    async def run(self) -> None:
        while True:
            await self._has_come.wait()
            # A statement costs as much as twenty tries in it: what comes meanwhile waits for more.
            await asyncio.sleep(GATHER_SECONDS if await self.flush() else BACK_OFF_SECONDS)

    async def flush(self) -> bool:
        """Writes what has come until now; whether it could."""
        async with self._writing:
            self._has_come.clear()
            came, self._tries = self._tries, []
            for start in range(0, len(came), BATCH_MAX):
                try:
                    await self._write(came[start : start + BATCH_MAX])
                except DATABASE_ERRORS as error:
                    self._keep(came[start:], error)
                    return False
        return True

    def forget(self) -> None:
        """The book was read anew: what it says of endpoints counts."""
        self._failing.clear()

    def _keep(self, batch: list[tuple[Subscription, Tried]], error: BaseException) -> None:
        now = self._clock.now()
        kept = [one for one in batch if now < one[1].claimed.claimed_until]
        log.warning("tries_not_recorded", kind=type(error).__name__, kept=len(kept), lost=len(batch) - len(kept))
        self._metrics.unrecorded.inc(len(batch) - len(kept))
        self._tries = kept + self._tries
        if self._tries:
            self._has_come.set()

    async def _write(self, batch: list[tuple[Subscription, Tried]]) -> None:
        failed = await records.record(self._pool, [tried for _, tried in batch])
        self._on_recorded({subscription.subscription_id for subscription, _ in batch})
        for _, tried in batch:
            if tried.claimed.delivery_id in failed:
                self._tell(tried)
        await self._note_faring(batch)

    def _tell(self, tried: Tried) -> None:
        claimed = tried.claimed
        ids = {"delivery_id": str(claimed.delivery_id), "subscription_id": str(claimed.subscription_id)}
        outcome = str(tried.tried.outcome)
        log.info("delivery_failed", **ids, outcome=outcome, status=tried.tried.status, attempt=claimed.attempts + 1)
        if tried.verdict.state is DeliveryState.DEAD:
            self._metrics.dead.inc()
            log.warning("delivery_given_up", **ids, outcome=outcome)

    async def _note_faring(self, batch: list[tuple[Subscription, Tried]]) -> None:
        """What these say of endpoints: which of them fail since when, which work again, which are given up."""
        changed: dict[UUID, tuple[UUID, int, datetime | None]] = {}
        for subscription, tried in batch:
            known = self._failing.get(subscription.subscription_id, subscription.failing_since)
            outcome = tried.tried.outcome
            if outcome is Outcome.EXPIRED or (outcome is Outcome.DELIVERED and known is None):
                continue  # nobody was asked, or it works as before
            if (why := disabling(outcome, known, tried.at)) is not None:
                await self._disable(subscription, str(why), tried.at)
            since = None if outcome is Outcome.DELIVERED else known or tried.at
            if since != known:
                self._failing[subscription.subscription_id] = since
                changed[subscription.subscription_id] = (subscription.subscription_id, subscription.enabling, since)
        if changed:
            await subscriptions.note_faring(self._pool, list(changed.values()))

    async def _disable(self, subscription: Subscription, why: str, now: datetime) -> None:
        """At most once, with a notice to everybody who subscribes to such notices."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await subscriptions.disable(connection, subscription, why=why, now=now):
                return
            notice = derived_id(subscription.subscription_id, DISABLED, str(subscription.enabling))
            told = notified(DISABLED, subscription, self._others())
            deliveries = [(delivery_id(notice, one.subscription_id), one.subscription_id) for one in told]
            if deliveries:
                about = {"why": why, "disabled_at": now, "failing_since": subscription.failing_since}
                body = own_body(DISABLED, notice, subscription, at=now, **about)
                await subscriptions.add_notice(
                    connection,
                    body,
                    deliveries,
                    about=subscription.subscription_id,
                    event_id=notice,
                    type=DISABLED,
                    now=now,
                )
        self._metrics.disabled.inc()
        log.warning("subscription_disabled", subscription_id=str(subscription.subscription_id), why=why)
        self._on_disabled()
