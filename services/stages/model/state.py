"""What stages keeps of one lead, what it reads of a score, and what it decides on one event."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from services.stages.model.routing import Holder, Load, Routing, Stamp
from shared.agreement.clocks import Pause
from shared.events.base import Instant, LeadSnapshot, Reason
from shared.events.lifecycle import IgnoredReason, LeadAssigned, LeadQualified, SalesRecorded, Stage, StageChanged
from shared.events.sales import SalesAction


class Score(Struct, frozen=True, kw_only=True):
    """What stages needs of `accord.score.changed`."""

    engagement: float
    fit: int
    grade: str
    activity: str | None = None
    activity_received_at: Instant | None = None
    reasons: tuple[Reason, ...] = ()
    lead: LeadSnapshot
    historical: bool = False


Input = Score | SalesAction
Told = StageChanged | LeadAssigned | LeadQualified | SalesRecorded


class State(NamedTuple):
    """All that the next event needs of one lead. `version` numbers its stage entries, `number` its history; `lead` is
    that of the latest score, which conditions are asked on, and until the first one only an e-mail address. `snoozes`
    are the spans of those that were not over when sales last spoke, `contacted_at` is when sales last touched it: both
    can move the deadline of a clock that is yet to start."""

    lead_id: UUID
    stage: Stage = Stage.LEAD
    version: int = 0
    number: int = 0
    accord: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    entered_at: datetime | None = None
    owner: str | None = None
    team: str | None = None
    engagement: float = 0.0
    fit: int = 0
    grade: str = ""
    lead: LeadSnapshot = LeadSnapshot()
    is_scored: bool = False
    is_handed_over: bool = False
    snoozes: tuple[Pause, ...] = ()
    contacted_at: datetime | None = None

    @property
    def holder(self) -> Holder:
        return Holder(self.owner, self.team, self.is_handed_over)


class Decision(NamedTuple):
    """The new state, the events to emit in their order, and what routing took from outside the lead. `given` is the
    load that a lead's new owner carries for it."""

    state: State
    payloads: Sequence[Told]
    routing: Routing
    stamp: Stamp | None = None
    ignored: IgnoredReason | None = None
    given: Load | None = None


class HistoryLine(NamedTuple):
    """One input as it was applied. A score needs no body: it follows from scoring's history."""

    lead_id: UUID
    event_id: UUID
    number: int
    received_at: datetime
    body: bytes | None
    stamp: Stamp | None
    ignored: IgnoredReason | None


class TransitionLine(NamedTuple):
    """One transition, and the events that tell it and caused it."""

    event_id: UUID
    cause_id: UUID
    changed: StageChanged


class Batch(NamedTuple):
    """What one step saves. `routing` has the rows that the batch locked, as it leaves them; `given` is what it adds to
    the owners' loads."""

    states: dict[UUID, State]
    history: list[HistoryLine]
    transitions: list[TransitionLine]
    routing: Routing
    told: list[Told]
    given: dict[Load, int]
