"""Snoozes as spans of time in which clocks with `pauses_while: snoozed` count nothing (ACCORD.md "Clocks").

Each lasts from its action until the time that it names or the next touch; where several overlap, time stands still in
all of them. One without a time pauses nothing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from shared.agreement.clocks import Pause, joined

SNOOZES_MAX: Final = 100  # of a clock, and remembered of a lead
# Many a CRM says 9999-12-31 for "until further notice". No calendar counts past the year 9998, and no snooze lasts
# longer than this: so every promise has a deadline.
FOREVER: Final = datetime(9000, 1, 1, tzinfo=UTC)

Pauses = tuple[Pause, ...]


def pause_of(snoozed_at: datetime, until: datetime | None, touches: Sequence[datetime] = ()) -> Pause | None:
    """The span of a snooze; `touches` are the lead's, of which the next one may have been heard of first."""
    if until is None:
        return None
    until = min((until, FOREVER, *(at for at in touches if at > snoozed_at)))
    return Pause(snoozed_at, until) if snoozed_at < until else None


def touched(pauses: Pauses, at: datetime) -> Pauses:
    """Every pause that has begun and not ended by then ends then."""
    if not any(pause.from_ < at < pause.to for pause in pauses):
        return pauses
    return tuple(Pause(pause.from_, at) if pause.from_ < at < pause.to else pause for pause in pauses)


def latest(pauses: Pauses) -> Pauses:
    """Those that last longest, as many as are remembered."""
    return tuple(sorted(pauses, key=lambda pause: pause.to)[-SNOOZES_MAX:])


def added(pauses: Pauses, pause: Pause) -> Pauses:
    """With one more, unless there are too many."""
    return pauses if len(pauses) >= SNOOZES_MAX else (*pauses, pause)


def pause_at(pauses: Sequence[Pause], now: datetime, *, since: datetime) -> Pause | None:
    """The span without a break in which this instant lies."""
    return next((pause for pause in joined(pauses, since=since) if pause.from_ <= now < pause.to), None)
