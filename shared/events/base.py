"""The base of all event payloads: immutable, and tolerant of fields added later."""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Instant = Annotated[datetime, AwareDatetime]
Profile = dict[str, Any]


class Payload(BaseModel):
    """The data of one event type. Fields are only ever added; readers ignore what they don't know."""

    TYPE: ClassVar[str]

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, serialize_by_alias=True)

    lead_id: UUID


class LeadSnapshot(BaseModel):
    """What services downstream need of a lead to decide and to tell."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    email: str | None = None
    profile: Profile = Field(default_factory=dict)
    source: str | None = None
    campaign: str | None = None
    first_source: str | None = None
    first_team: str | None = None


class Reason(BaseModel):
    """One reason of a score, in words: `{"words": "demo requested", "points": 60.0}`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    words: str
    points: float
