"""Leads, as they are shown, and what sales does to them (HTTP.md "Bodies that outside checks rely on")."""

import re
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from services.api.schemas.clocks import Clock
from services.api.schemas.fields import Body, Instant, JsonRow
from shared.events.sales import AMOUNT_MAX, Action


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


class Due(BaseModel):
    """The promise on a lead whose deadline comes first."""

    rule: str
    state: str
    deadline: Instant


class ListedLead(LeadItem):
    """A lead in a list, with what is due next."""

    due: Due | None = None
    trend: list[float] | None = Field(
        None,
        description="With `trend_days`: the engagement so many days ago, then a day later each, at last as of now; "
        "worked out under the present version, from everything that is known by now.",
    )


class MqlLine(BaseModel):
    """The line between marketing and sales: `stages.mql` of the accord under which this lead was scored."""

    words: str = Field(examples=["engagement at least 70"])
    holds: bool = Field(description="Whether it holds on this lead as of `as_of`.")
    engagement: list[float] = Field(description="The numbers that it compares engagement with, ascending.")


class Identity(BaseModel):
    """One way in which a lead is known."""

    kind: str
    value: str


class Lead(LeadItem):
    """One lead, whole."""

    identities: list[Identity]
    mql: MqlLine
    below_threshold_at: Instant | None
    clocks: list[Clock]
    event_id: UUID | None = Field(None, description="The action that was waited for.")
    ignored: str | None = Field(None, description="Why that action changed nothing; null if it was taken.")


class TimelineItem(BaseModel):
    """One thing that happened to a lead."""

    at: Instant
    kind: str
    id: str
    detail: JsonRow


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


def _currency(code: str) -> str:
    if not re.fullmatch("[A-Z]{3}", code):
        raise ValueError("must be a currency code of three capitals, such as EUR")
    return code


Currency = Annotated[str, AfterValidator(_currency)]


class ActionBody(Body):
    """A sales action on a lead."""

    action: Action
    reason: str | None = Field(None, max_length=200)
    channel: str | None = Field(None, max_length=64, examples=["call"])
    until: Instant | None = None
    amount: float | None = Field(None, ge=0, le=AMOUNT_MAX, allow_inf_nan=False)
    currency: Currency | None = None
    owner: str | None = Field(None, min_length=1, max_length=320)
    note: str | None = Field(None, max_length=10_000)
    occurred_at: Instant | None = None


class Accepted(BaseModel):
    """The action is durable and will be applied."""

    event_id: UUID


class Erasure(BaseModel):
    """A lead that is, or will within seconds be, forgotten."""

    lead_id: UUID
    is_applied: bool = Field(description="Whether every service has applied it by now.")
