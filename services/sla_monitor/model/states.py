"""What sla_monitor keeps of a lead and of each of its clocks, and what it is fed with. Nothing here decides."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from shared.agreement.clocks import Pause
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import LeadAssigned, SalesRecorded, StageChanged
from shared.events.sales import SalesAction
from shared.events.sla import ClockEvent


class ClockState(StrEnum):
    """How a promise stands."""

    OPEN = "open"
    WARNED = "warned"
    MET = "met"
    BREACHED = "breached"
    RESOLVED = "resolved"
    VOIDED = "voided"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    LATE_START = "late_start"


RUNNING: Final = frozenset({ClockState.OPEN, ClockState.WARNED, ClockState.PAUSED})
# What an event can still change: a breach may yet be resolved, and, even resolved, be voided.
UNSETTLED: Final = frozenset({*RUNNING, ClockState.BREACHED, ClockState.RESOLVED})


class Clock(NamedTuple):
    """One running or finished promise. `ladder_steps` of its ladder were announced; `next_due_at` is the next moment to
    announce something, None if nothing more will be. Of those steps `then_steps` were carried out too; `then_due_at` is
    the moment of the first that wasn't. `owner` of a breach is who owned the lead when it broke, `tried` who owned
    earlier attempts. `closed_at` is when the lead left the line: such a breach can be voided but no more resolved."""

    lead_id: UUID
    clock_id: UUID
    rule: str
    attempt: int
    accord: int
    entry: int
    state: ClockState
    owner: str | None
    team: str | None
    started_at: datetime
    deadline: datetime
    ladder_steps: int
    next_due_at: datetime | None
    met_at: datetime | None = None
    breached_at: datetime | None = None
    announced_at: datetime | None = None
    resolved_at: datetime | None = None
    voided_at: datetime | None = None
    closed_at: datetime | None = None
    lateness_seconds: float | None = None
    is_lagging: bool = False
    response_seconds: float | None = None
    pauses: tuple[Pause, ...] = ()
    pauses_told: int = 0
    paused_until: datetime | None = None
    then_steps: int = 0
    then_due_at: datetime | None = None
    reassigned_by: UUID | None = None
    tried: tuple[str, ...] = ()


class Lead(NamedTuple):
    """One lead as sla_monitor knows it. `touches` are the latest `occurred_at`s of each recorded action, in order: one
    may be read before the entry whose clock it stops, or before the snooze that it ends. `snoozes` are its latest ones,
    as far as no touch ended them. `inputs` counts the history; `after` is the last number of stages' events seen.
    `clocks` are the unsettled ones and those touched since the lead was loaded."""

    lead_id: UUID
    entry: int = 0
    stage: str = "lead"
    owner: str | None = None
    team: str | None = None
    accord: int | None = None
    inputs: int = 0
    after: int | None = None
    touches: Mapping[str, tuple[datetime, ...]] = {}
    snapshot: LeadSnapshot = LeadSnapshot()
    snoozes: tuple[Pause, ...] = ()
    clocks: tuple[Clock, ...] = ()


LifecyclePayload = StageChanged | LeadAssigned | SalesRecorded


class Received(NamedTuple):
    """An event of the line, with what the fold needs of its envelope. `seq` is its number if stages emitted it."""

    event_id: UUID
    received_at: datetime
    seq: int | None
    payload: LifecyclePayload
    cause: UUID | None = None


class Tick(NamedTuple):
    """The sweep of one clock: everything of it that was due at `until` is announced at `at`, and carried out unless the
    line lags. `absent` are the owners who were paused then; stamped, since they are known outside of the lead."""

    event_id: UUID
    lead_id: UUID
    clock_id: UUID
    at: datetime
    until: datetime
    is_lagging: bool = False
    absent: tuple[str, ...] = ()


Input = Received | Tick


class HistoryEntry(NamedTuple):
    """An input as the history keeps it. `body` is the event's data as they came; a tick has none beside itself."""

    lead_id: UUID
    number: int
    given: Input
    body: str = ""


class Effect(NamedTuple):
    """A sales action that a level of escalation sends back; the event that told of that level; the clock's accord."""

    cause: UUID
    accord: int
    action: SalesAction


class Decision(NamedTuple):
    """The lead after an input, what is to be announced, and what is sent back to sales."""

    lead: Lead
    announcements: Sequence[ClockEvent]
    effects: Sequence[Effect] = ()
