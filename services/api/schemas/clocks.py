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
    lateness_seconds: float | None
    working: list[Interval]
