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


class TransitionReason(StrEnum):
    """What made a transition."""

    SCORE = "score qualifies"
    SALES = "sales action"
    IMPLIED = "implied by a later step"


class AssignmentReason(StrEnum):
    """Why an owner got a lead."""

    RULE = "rule"
    STICKY = "sticky"
    REASSIGNED = "reassigned"
    HANDED_OVER = "handed over"
    UNASSIGNED = "unassigned"


class PassedOverReason(StrEnum):
    """Why an owner didn't get a lead."""

    PAUSED = "paused"
    GONE = "gone"
    AT_CAPACITY = "at capacity"
    PRESENT_OWNER = "has the lead already"
    HAD_IT = "had the lead before"


class IgnoredReason(StrEnum):
    """Why an action changed nothing."""

    OVERTAKEN = "overtaken"
    BACKWARDS = "backwards"
    UNKNOWN_REASON = "unknown reason"
    NOT_ALLOWED = "not allowed in this stage"
    NOBODY_ELSE = "nobody else is active"


class PassedOver(Struct, frozen=True):
    """An owner who would have been asked, and why they weren't."""

    owner: str
    why: PassedOverReason


class StageChanged(Payload, frozen=True, kw_only=True):
    """One transition. `entry` numbers the stage entries of a lead; `action` is the sales action that made it, or None
    for a transition made by a score; for an implied transition the action that normally makes it. `reason` is the one
    that sales gave, or else `why` again."""

    TYPE: ClassVar[str] = "accord.stage.changed"

    version: int
    from_stage: Stage = field(name="from")
    to_stage: Stage = field(name="to")
    entry: int
    reason: str
    why: TransitionReason | None = None
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
    """A clock that starts now: what stops it, by when, and in which hours its time counts (business or always)."""

    rule: str
    deadline: Instant
    hours: str = "business"
    within_seconds: float = 0.0
    stops: tuple[str, ...] = ()


class LeadQualified(Payload, frozen=True, kw_only=True):
    """What a sales tool needs in one event: who, why in words, from which campaign (in `lead`), whose, and what is due
    by when. `version` numbers the stage entry; `clocks` are all that start now, `due` the one that runs out first."""

    TYPE: ClassVar[str] = "accord.lead.qualified"

    version: int
    engagement: float
    fit: int
    grade: str
    reasons: tuple[Reason, ...] = ()
    owner: str | None = None
    team: str | None = None
    due: ClockPreview | None = None
    clocks: tuple[ClockPreview, ...] = ()
    accord: int | None = None
    occurred_at: Instant
    lead: LeadSnapshot


class LeadAssigned(Payload, frozen=True, kw_only=True):
    """A new owner, with all that the decision took from outside the lead, so that a replay needs nothing else.

    `candidates` are the team's owners, `passed_over` those of them (or the owner that the lead or its company had) who
    could not be asked; `turn` is the team's turn that was taken, counted from 0.
    """

    TYPE: ClassVar[str] = "accord.lead.assigned"

    version: int
    owner: str | None
    team: str | None
    why: AssignmentReason
    previous_owner: str | None = None
    turn: int | None = None
    candidates: tuple[str, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    occurred_at: Instant
    lead: LeadSnapshot


class SalesRecorded(Payload, frozen=True, kw_only=True):
    """A touch, snooze or note; or an action that was ignored, with the reason. `passed_over` says why nobody could be
    asked when an action was to find another owner."""

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
    passed_over: tuple[PassedOver, ...] = ()
    occurred_at: Instant
    lead: LeadSnapshot
