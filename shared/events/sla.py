"""Events on accord.sla.v1: what was promised, what was kept, what was broken."""

from typing import ClassVar
from uuid import UUID

from shared.events.base import Instant, LeadSnapshot, Payload


class ClockEvent(Payload, frozen=True, kw_only=True):
    """The common data of all clock events. `elapsed_seconds` counts the clock's own hours (business or plain) from
    its start; `lateness_seconds` is how long after the due moment it was announced. Of an escalation `to` says who is
    told and `whom` names that person (None if there is none), `then` what is done about it. Of a pause and its end
    `pause` is its number, `until` the time that it lasts to at most."""

    clock_id: UUID
    rule: str
    attempt: int = 1
    accord: int
    entry: int
    started_at: Instant
    deadline: Instant
    occurred_at: Instant
    elapsed_seconds: float
    owner: str | None = None
    team: str | None = None
    level: int | None = None
    to: str | None = None
    whom: str | None = None
    then: str | None = None
    pause: int | None = None
    until: Instant | None = None
    lateness_seconds: float | None = None
    lagging: bool = False
    late_start: bool = False
    lead: LeadSnapshot


class ClockStarted(ClockEvent, frozen=True, kw_only=True):
    """A promise began to run."""

    TYPE: ClassVar[str] = "accord.clock.started"


class ClockWarned(ClockEvent, frozen=True, kw_only=True):
    """The agreed share of the time has gone."""

    TYPE: ClassVar[str] = "accord.clock.warned"


class ClockMet(ClockEvent, frozen=True, kw_only=True):
    """The promise was kept."""

    TYPE: ClassVar[str] = "accord.clock.met"


class ClockBreached(ClockEvent, frozen=True, kw_only=True):
    """The promise was broken."""

    TYPE: ClassVar[str] = "accord.clock.breached"


class ClockEscalated(ClockEvent, frozen=True, kw_only=True):
    """A step of the escalation ladder was reached."""

    TYPE: ClassVar[str] = "accord.clock.escalated"


class ClockResolved(ClockEvent, frozen=True, kw_only=True):
    """What was promised was done, after the breach."""

    TYPE: ClassVar[str] = "accord.clock.resolved"


class ClockVoided(ClockEvent, frozen=True, kw_only=True):
    """The breach was announced in error: a stop that was in time arrived late."""

    TYPE: ClassVar[str] = "accord.clock.voided"


class ClockCancelled(ClockEvent, frozen=True, kw_only=True):
    """The lead left the line before the promise was kept or broken."""

    TYPE: ClassVar[str] = "accord.clock.cancelled"


class ClockPaused(ClockEvent, frozen=True, kw_only=True):
    """The lead was snoozed: nothing counts until then, or until the next touch."""

    TYPE: ClassVar[str] = "accord.clock.paused"


class ClockResumed(ClockEvent, frozen=True, kw_only=True):
    """It counts again, with another deadline."""

    TYPE: ClassVar[str] = "accord.clock.resumed"
