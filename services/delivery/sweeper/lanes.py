"""One lane per subscription: what waits for it here, what is under way, and how much of it there may be."""

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
AHEAD_MAX: Final = 8
AHEAD_SECONDS: Final = 0.5
_WEIGHT: Final = 0.2  # of the newest answer in the mean


class Lane:
    """Counts and queues of one subscription in this process. Times are monotonic, but for `rests_until`."""

    def __init__(self, subscription: Subscription, in_flight_max: int) -> None:
        self.queue: deque[Claimed] = deque()
        self.is_hungry = True
        self.rests_until: datetime | None = None
        self.is_doubtful = False  # as `Budgets` last judged it
        self._tries = 0
        self._started: dict[int, float] = {}  # by the number of the try, so the oldest stands first
        self._bucket: Bucket | None = None
        self._seconds = AHEAD_SECONDS
        self._low = 0  # as `room` last found it
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
            self._low = 0
            return max(0, self.window.size - len(self.queue) - self.in_flight)
        most = int(self.window.size * ahead)
        # Few large claims cost less than many small ones.
        self._low = most // 2
        return most - len(self.queue) if self.is_low else 0

    @property
    def is_low(self) -> bool:
        """Whether so little waits here that more is to be claimed, while this is sent."""
        return len(self.queue) <= self._low

    def looks_doubtful(self, time: float) -> bool:
        """Whether its endpoint fails, or doesn't answer."""
        if self.window.is_failing:
            return True
        return bool(self._started) and time - next(iter(self._started.values())) > SLOW_SECONDS

    @property
    def has_room(self) -> bool:
        """Whether one more try may be under way."""
        return len(self._started) < self.window.size

    def is_resting(self, now: datetime) -> bool:
        return self.rests_until is not None and now < self.rests_until

    def wait_seconds(self, time: float) -> float:
        """Takes a token for one try; or how long until there is one."""
        return 0.0 if self._bucket is None else self._bucket.wait_seconds(time)

    def begin(self, time: float) -> int:
        """The number of the try that begins."""
        self._tries += 1
        self._started[self._tries] = time
        return self._tries

    def end(self, number: int) -> None:
        del self._started[number]

    def note(self, tried: Try, now: datetime) -> None:
        """What a try says about the endpoint. One that asks to wait is left alone as long as it asks for."""
        self.window.note(succeeded=tried.outcome is Outcome.DELIVERED)
        self._seconds += _WEIGHT * (tried.latency_seconds - self._seconds)
        if tried.outcome is Outcome.ASKED_TO_WAIT and tried.retry_after:
            self.rests_until = now + min(tried.retry_after, timedelta(hours=24))


class Budgets:
    """How many tries are under way at endpoints that work, and at doubtful ones: these can't use up the others' room.
    Who wants to know where a lane stands judges it first: it turns doubtful as time passes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way = {False: 0, True: 0}

    def judge(self, lane: Lane, time: float) -> None:
        is_doubtful = lane.looks_doubtful(time)
        if is_doubtful != lane.is_doubtful:
            self._under_way[lane.is_doubtful] -= lane.in_flight
            self._under_way[is_doubtful] += lane.in_flight
            lane.is_doubtful = is_doubtful

    def has_room(self, lane: Lane) -> bool:
        return self._under_way[lane.is_doubtful] < self._most

    def begin(self, lane: Lane, time: float) -> int:
        """The number of the try that begins."""
        self._under_way[lane.is_doubtful] += 1
        return lane.begin(time)

    def end(self, lane: Lane, number: int) -> None:
        self._under_way[lane.is_doubtful] -= 1
        lane.end(number)
