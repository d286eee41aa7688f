"""Events on accord.lifecycle.v1: the hand-off between marketing and sales."""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from msgspec import Struct, field

from shared.events.base import Instant, LeadSnapshot, Payload, Reason
from shared.events.sales import Action


class Stage(StrEnum):
    """Where a lead stands between marketing and sales."""

    LEAD = "lead"
    MQL = "mql"
    SAL = "sal"
    SQL = "sql"
    OPPORTUNITY = "opportunity"
    CUSTOMER = "customer"
    RECYCLED = "recycled"
    DISQUALIFIED = "disqualified"


class AssignmentReason(StrEnum):
    """Why an owner got a lead."""

    RULE = "rule"
    STICKY = "sticky"
    REASSIGNED = "reassigned"
    HANDED_OVER = "handed over"
    UNASSIGNED = "unassigned"


class IgnoredReason(StrEnum):
    """Why an action changed nothing."""

    OVERTAKEN = "overtaken"
    BACKWARDS = "backwards"
    UNKNOWN_REASON = "unknown reason"
    NOT_ALLOWED = "not allowed in this stage"


class StageChanged(Payload, frozen=True, kw_only=True):
    """One transition. `entry` numbers the stage entries of a lead; `action` is the sales action that made it, or None
    for a transition made by a score; for an implied transition the action that normally makes it."""

    TYPE: ClassVar[str] = "accord.stage.changed"

    version: int
    from_stage: Stage = field(name="from")
    to_stage: Stage = field(name="to")
    entry: int
    reason: str
    action: Action | None = None
    implied: bool = False
    engagement: float
    fit: int
    grade: str
    owner: str | None = None
    team: str | None = None
    amount: float | None = None
    currency: str | None = None
    occurred_at: Instant
    historical: bool = False
    lead: LeadSnapshot


class ClockPreview(Struct, frozen=True):
    """The clock that a rep must beat first."""

    rule: str
    deadline: Instant


class LeadQualified(Payload, frozen=True, kw_only=True):
    """What a sales tool needs in one event: who, why in words, whose, and what is due by when."""

    TYPE: ClassVar[str] = "accord.lead.qualified"

    version: int
    engagement: float
    fit: int
    grade: str
    reasons: tuple[Reason, ...] = ()
    owner: str | None = None
    team: str | None = None
    due: ClockPreview | None = None
    occurred_at: Instant
    lead: LeadSnapshot


class LeadAssigned(Payload, frozen=True, kw_only=True):
    """A new owner, with all that the decision took from outside the lead, so that a replay needs nothing else."""

    TYPE: ClassVar[str] = "accord.lead.assigned"

    version: int
    owner: str | None
    team: str | None
    why: AssignmentReason
    turn: int | None = None
    candidates: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    occurred_at: Instant
    lead: LeadSnapshot


class SalesRecorded(Payload, frozen=True, kw_only=True):
    """A touch, snooze, note or outcome; or an action that was ignored, with the reason."""

    TYPE: ClassVar[str] = "accord.sales.recorded"

    version: int
    action_id: UUID
    action: Action
    stage: Stage
    entry: int
    ignored: IgnoredReason | None = None
    reason: str | None = None
    channel: str | None = None
    until: Instant | None = None
    amount: float | None = None
    currency: str | None = None
    note: str | None = None
    actor: str | None = None
    owner: str | None = None
    occurred_at: Instant
    lead: LeadSnapshot
