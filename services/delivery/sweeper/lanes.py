"""One lane per subscription: what waits for it here, what is under way, and how much of it there may be."""

import asyncio
from collections import deque
from datetime import datetime, timedelta
from typing import Final

from services.delivery.model.attempts import Outcome, Try
from services.delivery.model.endpoints import Bucket, Window
from services.delivery.model.subscriptions import Subscription
from services.delivery.store.claims import Claimed

# A try that takes longer makes its lane a doubtful one, which draws on another budget than those that work.
SLOW_SECONDS: Final = 1.0
# A lane holds so much more than it may send at once, if it answers quickly enough to be through with it in this time.
AHEAD_MAX: Final = 32
AHEAD_SECONDS: Final = 0.5
_WEIGHT: Final = 0.2  # of the newest answer in the mean


class Lane:
    """Counts and queues of one subscription in this process. Times are the event loop's, but for `rests_until`."""

    def __init__(self, subscription: Subscription, in_flight_max: int) -> None:
        self.queue: deque[Claimed] = deque()
        self.is_hungry = True
        self.rests_until: datetime | None = None
        self._started: dict[asyncio.Task[None], float] = {}
        self._bucket: Bucket | None = None
        self._seconds = AHEAD_SECONDS
        self.window = Window(in_flight_max)
        self.adopt(subscription, in_flight_max)

    def adopt(self, subscription: Subscription, in_flight_max: int) -> None:
        """The subscription as it is now."""
        self.subscription = subscription
        self.window.limit(subscription.in_flight_max or in_flight_max)
        rate = subscription.rate_per_second
        if rate is None:
            self._bucket = None
        elif self._bucket is None or self._bucket.per_second != rate:
            self._bucket = Bucket(rate)

    @property
    def in_flight(self) -> int:
        return len(self._started)

    @property
    def is_idle(self) -> bool:
        return not self._started and not self.queue

    def room(self, now: datetime) -> int:
        """How many more deliveries this lane can take."""
        if self.rests_until is not None:
            if now < self.rests_until:
                return 0
            self.rests_until = None
        ahead = min(max(AHEAD_SECONDS / max(self._seconds, 1e-6), 1.0), AHEAD_MAX)
        if self._bucket is not None:
            ahead = 1.0
        if ahead == 1.0:
            return max(0, self.window.size - len(self.queue) - self.in_flight)
        most = int(self.window.size * ahead)
        # Few large claims cost less than many small ones.
        return most - len(self.queue) if len(self.queue) <= most // 2 else 0

    def is_doubtful(self, time: float) -> bool:
        """Whether its endpoint fails, or doesn't answer."""
        return self.window.is_failing or any(time - started > SLOW_SECONDS for started in self._started.values())

    def may_start(self, now: datetime) -> bool:
        is_resting = self.rests_until is not None and now < self.rests_until
        return bool(self.queue) and self.in_flight < self.window.size and not is_resting

    def wait_seconds(self, time: float) -> float:
        """Takes a token for one try; or how long until there is one."""
        return 0.0 if self._bucket is None else self._bucket.wait_seconds(time)

    def started(self, task: asyncio.Task[None], time: float) -> None:
        self._started[task] = time

    def ended(self, task: asyncio.Task[None]) -> None:
        del self._started[task]

    def note(self, tried: Try, now: datetime) -> None:
        """What a try says about the endpoint. One that asks to wait is left alone as long as it asks for."""
        self.window.note(succeeded=tried.outcome is Outcome.DELIVERED)
        self._seconds += _WEIGHT * (tried.latency_seconds - self._seconds)
        if tried.outcome is Outcome.ASKED_TO_WAIT and tried.retry_after:
            self.rests_until = now + min(tried.retry_after, timedelta(hours=24))
