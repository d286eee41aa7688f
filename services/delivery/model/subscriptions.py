"""A configured receiver: what it wants to be told, how, and how much of it at once."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from services.delivery.model.quiet import QuietHours
from shared.webhook_secrets import SigningKey

Facts = Mapping[str, Any]


class Format(StrEnum):
    """What a receiver understands."""

    STANDARD = "standard"
    SLACK = "slack"
    TEAMS = "teams"
    EMAIL = "email"
    ALERTMANAGER = "alertmanager"


class State(StrEnum):
    """`paused`: what comes waits. `disabled`: it is not told. `unconfirmed`: it waits for the receiver's consent."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    UNCONFIRMED = "unconfirmed"


# Several events make one message of these.
GROUPED: Final = frozenset({Format.SLACK, Format.TEAMS, Format.EMAIL, Format.ALERTMANAGER})
# An alert begins with one of these and ends with any other; a correction may be either.
ALERTS: Final = ("accord.clock.breached", "accord.promise.breached")
CORRECTED: Final = "accord.promise.corrected"
ALERTED: Final = frozenset(
    {
        *ALERTS,
        *("accord.clock.met", "accord.clock.resolved", "accord.clock.voided"),
        *("accord.promise.kept", CORRECTED),
    }
)


class Subscription(NamedTuple):
    """A configured receiver. `keys` are several while one is being rotated. With `handshake` it is told nothing before
    it has consented."""

    subscription_id: UUID
    url: str
    types: tuple[str, ...]
    condition: Callable[[Facts], bool] | None
    keys: tuple[SigningKey, ...] = ()
    state: State = State.ACTIVE
    format: Format = Format.STANDARD
    name: str = ""
    in_flight_max: int | None = None
    rate_per_second: float | None = None
    timeout_seconds: float | None = None
    group_seconds: int = 0
    quiet_hours: QuietHours | None = None
    enabling: int = 0
    failing_since: datetime | None = None
    handshake: bool = False

    @property
    def is_told(self) -> bool:
        """Whether events are kept for it; they are sent while it is active."""
        return self.state is not State.DISABLED

    @property
    def is_active(self) -> bool:
        return self.state is State.ACTIVE

    @property
    def is_grouped(self) -> bool:
        return self.format in GROUPED

    def wants(self, event_type: str) -> bool:
        """`*` is everything, `accord.clock.*` everything below. An alert manager gets what begins or ends an alert."""
        if self.format is Format.ALERTMANAGER and event_type not in ALERTED:
            return False
        return any(_covers(pattern, event_type) for pattern in self.types)

    def secrets_at(self, now: datetime) -> tuple[str, ...]:
        """What is signed with at this time."""
        return tuple(key.text for key in self.keys if key.counts_at(now))


def _covers(pattern: str, event_type: str) -> bool:
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type
