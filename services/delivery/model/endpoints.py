"""What an endpoint may still bear: how many tries at once, how many a second, and when it is left alone for good."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from services.delivery.model.attempts import Outcome

FAILING_FOR_MAX: Final = timedelta(days=5)
FIRST_WINDOW: Final = 2


class DisabledReason(StrEnum):
    """Why a subscription was disabled, for its owner to read."""

    GONE = "its endpoint answered 410 Gone"
    FAILING = "its endpoint failed for five days"


def disabling(outcome: Outcome, failing_since: datetime | None, now: datetime) -> DisabledReason | None:
    """Whether this outcome ends the subscription; `failing_since` is None while its last try succeeded."""
    if outcome is Outcome.GONE:
        return DisabledReason.GONE
    if outcome is not Outcome.DELIVERED and failing_since is not None and now - failing_since >= FAILING_FOR_MAX:
        return DisabledReason.FAILING
    return None


@dataclass(slots=True)
class Window:
    """How many tries may be under way at once: more after each success, half after each failure. So an endpoint that
    hangs or fails soon holds one try and no more, and one that works gets all it may have within a few answers."""

    most: int
    size: int = FIRST_WINDOW
    is_failing: bool = False

    def __post_init__(self) -> None:
        self.size = min(self.size, self.most)

    def limit(self, most: int) -> None:
        self.most = most
        self.size = min(self.size, most)

    def note(self, *, succeeded: bool) -> None:
        self.is_failing = not succeeded
        if not succeeded:
            self.size = max(self.size // 2, 1)
        elif self.size < self.most:
            self.size += 1


@dataclass(slots=True)
class Bucket:
    """A token bucket of one second's tries; time is the caller's, in seconds."""

    per_second: float
    held: float = 1.0
    at: float = 0.0

    def wait_seconds(self, now: float) -> float:
        """Takes one and returns 0, or takes none and returns how long until there is one."""
        self.held = min(max(self.per_second, 1.0), self.held + max(0.0, now - self.at) * self.per_second)
        self.at = now
        if self.held >= 1:
            self.held -= 1
            return 0.0
        return (1 - self.held) / self.per_second
