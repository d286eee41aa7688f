"""The sender: claims what is due, posts it, has the recorder keep what came of it.

A process killed between sending and recording sends those again after their lease, with the same webhook-ids.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import structlog

from services.delivery.handler import Nudge
from services.delivery.metrics import Metrics
from services.delivery.model.attempts import Outcome, Try, judge
from services.delivery.model.subscriptions import Subscription
from services.delivery.settings import Settings
from services.delivery.store import claims
from services.delivery.store.claims import Claimed
from services.delivery.store.records import Tried
from services.delivery.store.subscriptions import SubscriptionBook
from services.delivery.sweeper.lanes import Budgets, Lane
from services.delivery.sweeper.recorder import Recorder
from services.delivery.sweeper.signer import Signer
from shared.clock import Clock
from shared.db.faults import DATABASE_ERRORS

log = structlog.get_logger()

# Other processes' commits are found by looking at all subscriptions; this process's are told by name.
LOOK_SECONDS: Final = 0.25
GATHER_SECONDS: Final = 0.003
SUBSCRIPTIONS_FOR: Final = timedelta(seconds=1)
BACK_OFF_SECONDS: Final = 1.0
DRAIN_SECONDS: Final = 2.0


class Post(Protocol):
    """Sends one delivery and says how it went; raises nothing that a receiver can cause."""

    async def __call__(self, subscription: Subscription, delivery: Claimed, now: datetime) -> Try: ...


class Begun(NamedTuple):
    """A delivery under way, the number of its try in its lane, and since when."""

    delivery: Claimed
    number: int
    at: datetime


class Sender:
    """`run` is the loop; `turn` one look for work."""

    def __init__(
        self,
        *,
        pool: Any,
        post: Post,
        signer: Signer,
        clock: Clock,
        roll: Callable[[], float],
        nudge: Nudge,
        metrics: Metrics,
        settings: Settings,
        book: SubscriptionBook,
    ) -> None:
        self._pool = pool
        self._post = post
        self._signer = signer
        self._clock = clock
        self._roll = roll
        self._nudge = nudge
        self._metrics = metrics
        self._settings = settings
        self._book = book
        self._read_at: datetime | None = None
        self._looked_at = float("-inf")
        self._lanes: dict[UUID, Lane] = {}
        self._late: list[Claimed] = []
        self._uncounted: list[Tried] = []
        self._workers: set[asyncio.Task[None]] = set()
        self._budgets = Budgets(settings.in_flight)
        self.recorder = Recorder(
            pool=pool,
            clock=clock,
            metrics=metrics,
            others=lambda: self._book.all,
            on_recorded=self._recorded,
            on_disabled=self._read_again,
        )

    @property
    def in_flight(self) -> int:
        """Tries under way."""
        return sum(lane.in_flight for lane in self._lanes.values())

    async def run(self) -> None:
        """Until cancelled; what is in flight then gets a moment to end."""
        recording = asyncio.create_task(self.recorder.run())
        try:
            while True:
                try:
                    await self.turn(is_full=monotonic() - self._looked_at >= LOOK_SECONDS)
                except DATABASE_ERRORS as error:
                    log.warning("deliveries_not_claimed", kind=type(error).__name__)
                    await asyncio.sleep(BACK_OFF_SECONDS)
                    continue
                if await self._nudge.wait(LOOK_SECONDS):
                    await asyncio.sleep(GATHER_SECONDS)  # what is committed meanwhile goes along
        finally:
            # The recorder goes last: what it is just writing would be sent again.
            try:
                await self.drain(DRAIN_SECONDS)
            finally:
                recording.cancel()

    async def turn(self, *, is_full: bool = True) -> int:
        """Claims what is due and starts sending it; returns how many deliveries it claimed. Without `is_full` only for
        subscriptions that were named or whose last claim found all that they had room for."""
        self._count()
        now = self._clock.now()
        await self._refresh(now)
        late, self._late = self._late, []
        await self._release(late)
        named = self._nudge.take()
        asked = [id_ for id_, lane in self._lanes.items() if is_full or lane.is_hungry or id_ in named]
        if is_full:
            self._looked_at = monotonic()
        room = {id_: free for id_ in asked if (free := self._lanes[id_].room(now)) > 0}
        self._metrics.in_flight_limit_reached.inc(len(asked) - len(room))
        if room and is_full:
            await claims.put_off(self._pool, room, now=now)
        for id_ in room:
            self._lanes[id_].is_hungry = False
        claimed = await claims.claim(self._pool, room, now=now, lease=self._lease(room)) if room else []
        for id_, deliveries in _by_subscription(claimed).items():
            lane = self._lanes[id_]
            lane.queue.extend(deliveries)
            lane.is_hungry = True
            self._signer.sign_ahead(lane.subscription, deliveries, self._clock.now())
        time = monotonic()
        for lane in self._lanes.values():
            self._budgets.judge(lane, time)
        for lane in sorted((lane for lane in self._lanes.values() if lane.queue), key=lambda lane: lane.in_flight):
            self._pump(lane)
        return len(claimed)

    async def drain(self, timeout_seconds: float) -> None:
        """Waits for what is in flight, then gives it up: it is sent again after its lease. Gives back the rest."""
        waiting = [*self._late, *(delivery for lane in self._lanes.values() for delivery in lane.queue)]
        for lane in self._lanes.values():
            lane.queue.clear()
        if self._workers:
            _, left = await asyncio.wait(self._workers, timeout=timeout_seconds)
            for task in left:
                task.cancel()
        self._count()
        await self.recorder.flush()
        await self._release(waiting)

    async def _refresh(self, now: datetime) -> None:
        if self._read_at is not None and now - self._read_at < SUBSCRIPTIONS_FOR:
            return
        await self._book.refresh(self._pool)
        self.recorder.forget()
        self._read_at = now
        most = self._settings.in_flight_per_subscription
        active = {s.subscription_id: s for s in self._book.all if s.is_active and not s.is_grouped}
        for id_, subscription in active.items():
            if id_ in self._lanes:
                self._lanes[id_].adopt(subscription, most)
            else:
                self._lanes[id_] = Lane(subscription, most)
        for id_ in self._lanes.keys() - active.keys():
            lane = self._lanes[id_]
            await self._release(list(lane.queue))
            lane.queue.clear()
            if lane.is_idle:
                del self._lanes[id_]

    async def _release(self, deliveries: Sequence[Claimed]) -> None:
        try:
            await claims.release(self._pool, deliveries)
        except DATABASE_ERRORS as error:  # they are another's after their lease
            log.warning("deliveries_not_released", kind=type(error).__name__)

    def _lease(self, room: Iterable[UUID]) -> timedelta:
        timeouts = (self._lanes[id_].subscription.timeout_seconds or 0 for id_ in room)
        longest = max(self._settings.timeout_seconds, *timeouts)
        return timedelta(seconds=longest + self._settings.lease_margin_seconds)

    def _pump(self, lane: Lane) -> None:
        """Starts what this lane may start now."""
        now = self._clock.now()
        while (begun := self._begin(lane, now)) is not None:
            worker = asyncio.create_task(self._work(lane, begun))
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    def _begin(self, lane: Lane, now: datetime) -> Begun | None:
        """Takes the next delivery that this lane may send now; None if there is none."""
        if not lane.queue or not lane.has_room:
            return None
        time = monotonic()
        self._budgets.judge(lane, time)
        while lane.queue and not lane.is_resting(now):
            if not self._budgets.has_room(lane):
                self._metrics.limits_reached.labels("doubtful" if lane.is_doubtful else "in_flight").inc()
                return None
            if not self._has_time(lane.queue[0], lane.subscription, now):
                self._metrics.limits_reached.labels("lease").inc()
                self._late.append(lane.queue.popleft())
                continue
            if wait := lane.wait_seconds(time):
                self._metrics.limits_reached.labels("rate").inc()
                asyncio.get_running_loop().call_later(wait, self._pump, lane)
                return None
            return Begun(lane.queue.popleft(), self._budgets.begin(lane, time), now)
        return None

    def _has_time(self, delivery: Claimed, subscription: Subscription, now: datetime) -> bool:
        """Whether its try will be over before another process may make it."""
        timeout = subscription.timeout_seconds or self._settings.timeout_seconds
        return now + timedelta(seconds=timeout) <= delivery.claimed_until

    async def _work(self, lane: Lane, first: Begun) -> None:
        """One delivery after the other, as long as the lane has some that it may send."""
        begun: Begun | None = first
        while begun is not None:
            try:
                tried = await self._post(lane.subscription, begun.delivery, begun.at)
            finally:
                self._budgets.end(lane, begun.number)
            now = self._clock.now()
            self._note(lane, begun.delivery, tried, now)
            if (begun := self._begin(lane, now)) is not None and lane.has_room:
                self._pump(lane)  # its window has grown
            if lane.is_hungry and lane.is_low:
                self._nudge.give()  # what comes next is claimed while the rest is sent

    def _note(self, lane: Lane, delivery: Claimed, tried: Try, now: datetime) -> None:
        lane.note(tried, now)
        verdict = judge(tried, attempts=delivery.attempts + 1, now=now, roll=self._roll())
        ended = Tried(delivery, tried, verdict, now)
        self.recorder.add(lane.subscription, ended)
        self._uncounted.append(ended)

    def _count(self) -> None:
        """Those that ended since the last turn: many at once cost less than each between two posts."""
        ended, self._uncounted = self._uncounted, []
        self._metrics.response.observe(tried.latency_seconds for _, tried, _, _ in ended)
        for outcome, count in Counter([tried.outcome for _, tried, _, _ in ended]).items():
            self._metrics.attempts_of[outcome].inc(count)
        self._metrics.latency.observe(
            max(0.0, (at - delivery.received_at).total_seconds())
            for delivery, tried, _, at in ended
            if tried.outcome is Outcome.DELIVERED
        )

    def _recorded(self, subscriptions: set[UUID]) -> None:
        """The next delivery of a lead may go."""
        for id_ in subscriptions & self._lanes.keys():
            self._lanes[id_].is_hungry = True
        self._nudge.give()

    def _read_again(self) -> None:
        self._read_at = None


def _by_subscription(claimed: Iterable[Claimed]) -> dict[UUID, list[Claimed]]:
    found: dict[UUID, list[Claimed]] = {}
    for delivery in claimed:
        found.setdefault(delivery.subscription_id, []).append(delivery)
    return found


async def watch_pending(pool: Any, metrics: Metrics, interval_seconds: float) -> None:
    """Keeps the gauge of what is still to be delivered."""
    while True:
        try:
            metrics.pending.set(await claims.pending(pool))
        except DATABASE_ERRORS as error:
            log.warning("pending_not_counted", kind=type(error).__name__)
        await asyncio.sleep(interval_seconds)
