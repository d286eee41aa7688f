"""Clocks, as they are shown."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.api.schemas.fields import Instant


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
    closed_at: Instant | None
    lateness_seconds: float | None = Field(description="How long after the deadline the breach was announced.")
    lagging: bool = Field(description="Whether it was announced before the line had been read to its end.")
    response_seconds: float | None = Field(description="What the stop took, in the hours that this clock counts.")
    paused_until: Instant | None
    within_seconds: float = Field(description="How much time the accord gives, in the hours that count.")
    hours: str = Field(description="Which hours count: business or always.")
    stops: list[str] = Field(description="The sales actions of which the first stops it.")
    working: list[Interval]


class Attainment(BaseModel):
    """How the promises of one owner, team, clock or week were kept. `share_met` is met of met and breached."""

    key: str | None = Field(description="The owner, team or clock; of a week its Monday. Null: of no owner or team.")
    started: int
    met: int
    breached: int
    voided: int
    share_met: float | None
    median_seconds: float | None
    p90_seconds: float | None
