"""What stages keeps of one lead, what it reads of a score, and what it decides on one event."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, NotRequired
from uuid import UUID

# pydantic can't read typing's own TypedDict before Python 3.12.
from typing_extensions import TypedDict

from services.stages.model.routing import Routing, Stamp
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import IgnoredReason, LeadAssigned, LeadQualified, SalesRecorded, Stage, StageChanged
from shared.events.sales import SalesAction


class Lead(NamedTuple):
    """The snapshot of the latest score, which conditions are asked on; until the first one only an e-mail address."""

    email: str | None = None
    profile: Mapping[str, Any] = {}
    source: str | None = None
    campaign: str | None = None
    first_source: str | None = None
    first_team: str | None = None


class LeadFields(TypedDict, total=False):
    """`Lead` as a score event tells it."""

    email: str | None
    profile: dict[str, Any]
    source: str | None
    campaign: str | None
    first_source: str | None
    first_team: str | None


class ReasonFields(TypedDict):
    """One reason of a score, in words."""

    words: str
    points: float


class Score(TypedDict):
    """What stages needs of `accord.score.changed`: validated from JSON without a model per event."""

    engagement: float
    fit: int
    grade: str
    activity: NotRequired[str | None]
    activity_received_at: NotRequired[datetime | None]
    reasons: NotRequired[list[ReasonFields]]
    lead: LeadFields


Input = Score | SalesAction
Told = StageChanged | LeadAssigned | LeadQualified | SalesRecorded


class State(NamedTuple):
    """All that the next event needs of one lead. `version` numbers its stage entries, `number` its history."""

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
    lead: Lead = Lead()
    is_scored: bool = False

    def snapshot(self) -> LeadSnapshot:
        """The lead as events tell it."""
        return LeadSnapshot(**self.lead._asdict())


class Decision(NamedTuple):
    """The new state, the events to emit in their order, and what routing took from outside the lead."""

    state: State
    payloads: Sequence[Told]
    routing: Routing
    stamp: Stamp | None = None
    ignored: IgnoredReason | None = None


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
    """What one step saves. `routing` has the rows that the batch locked, as it leaves them."""

    states: dict[UUID, State]
    history: list[HistoryLine]
    transitions: list[TransitionLine]
    routing: Routing
