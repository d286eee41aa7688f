"""Bodies that the api answers with (HTTP.md "Bodies that outside checks rely on")."""

from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.api.schemas.bodies import Instant

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list; `next` is the cursor of the following one, null at the end."""

    items: list[Item]
    next: str | None = None


class Interval(BaseModel):
    """A part of a clock's time, and whether it counted."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    from_: Instant = Field(alias="from")
    to: Instant
    counted: bool
    why: str


class Clock(BaseModel):
    """One promise on one lead, with the working of its deadline."""

    id: UUID
    rule: str
    lead_id: UUID
    owner: str | None
    team: str | None
    attempt: int
    accord: int
    state: str
    started_at: Instant
    deadline: Instant
    met_at: Instant | None
    breached_at: Instant | None
    announced_at: Instant | None
    resolved_at: Instant | None
    voided_at: Instant | None
    lateness_seconds: float | None
    working: list[Interval]


class LeadItem(BaseModel):
    """A lead in a list; engagement and fit as of `as_of`."""

    id: UUID
    email: str | None
    profile: dict[str, Any]
    source: str | None
    campaign: str | None
    first_source: str | None
    stage: str
    stage_entered_at: Instant | None
    owner: str | None
    team: str | None
    engagement: float
    fit: int
    grade: str
    as_of: Instant
    accord: int
    updated_at: Instant | None


class Identity(BaseModel):
    """One way in which a lead is known."""

    kind: str
    value: str


class Lead(LeadItem):
    """One lead, whole."""

    identities: list[Identity]
    below_threshold_at: Instant | None
    clocks: list[Clock]
    event_id: UUID | None = Field(None, description="The action that was waited for.")


class TimelineItem(BaseModel):
    """One thing that happened to a lead."""

    at: Instant
    kind: str
    id: str
    detail: dict[str, Any]


class GrantLine(BaseModel):
    """What one rule granted to one activity, and what that is worth."""

    event_id: UUID
    type: str
    occurred_at: Instant
    received_at: Instant
    rule: str
    points: int
    worth: float
    withheld: int
    why: str | None


class Adjustment(BaseModel):
    """What the cap took, or the floor gave."""

    kind: Literal["cap", "floor"]
    points: float


class FitLine(BaseModel):
    """A fit rule that holds."""

    rule: str
    points: int


class ExplanationBody(BaseModel):
    """Σ worth + Σ adjustments = engagement."""

    lead_id: UUID
    engagement: float
    fit: int
    grade: str
    as_of: Instant
    accord: int
    grants: list[GrantLine]
    adjustments: list[Adjustment]
    fit_rules: list[FitLine]


class Accepted(BaseModel):
    """The action is durable and will be applied."""

    event_id: UUID


class Source(BaseModel):
    id: UUID
    name: str
    kind: str
    team: str
    url: str
    settings: dict[str, Any]
    created_at: Instant


class Subscription(BaseModel):
    id: UUID
    name: str
    url: str
    types: list[str]
    condition: dict[str, Any] | None
    format: str
    state: str
    created_at: Instant


class Key(BaseModel):
    id: str
    name: str
    role: str
    scopes: list[str]
    source_id: UUID | None
    expires_at: Instant | None
    revoked_at: Instant | None
    created_at: Instant


class CreatedSource(Source):
    secret: str | None = Field(description="Shown once; null when an Idempotency-Key is repeated.")


class CreatedSubscription(Subscription):
    secret: str | None = Field(description="Shown once; null when an Idempotency-Key is repeated.")


class CreatedKey(Key):
    key: str | None = Field(description="Shown once; null when an Idempotency-Key is repeated.")


class AccordItem(BaseModel):
    version: int
    state: str
    sha256: str
    effective_at: Instant | None
    signed_by: list[dict[str, Any]]
    created_at: Instant


class AccordBody(AccordItem):
    document: dict[str, Any]
    source_text: str
