"""Events on accord.activity.v1: what leads did, and what is known about them."""

from typing import Any, ClassVar, Final, Literal
from uuid import UUID

from msgspec import field

from shared.events.base import Instant, Name, Payload, Profile

Team = Literal["marketing", "sales"]
# The source of an event that names none, sent with a key that belongs to none.
UNNAMED_SOURCE: Final = "api"


class ProfileUpdated(Payload, frozen=True, kw_only=True):
    """Facts about a lead. Published before the activity of the same posted event; `fields` may be empty."""

    TYPE: ClassVar[str] = "accord.profile.updated"

    id: UUID
    occurred_at: Instant
    received_at: Instant
    source: Name
    team: Team | None = None
    campaign: Name | None = None
    historical: bool = False
    identifiers: dict[str, str] = field(default_factory=dict)
    fields: Profile = field(default_factory=dict)


class Activity(Payload, frozen=True, kw_only=True):
    """Something a lead did."""

    TYPE: ClassVar[str] = "accord.activity"

    id: UUID
    type: str
    occurred_at: Instant
    received_at: Instant
    source: Name
    team: Team | None = None
    campaign: Name | None = None
    historical: bool = False
    identifiers: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


class LeadErased(Payload, frozen=True, kw_only=True):
    """A person asked to be forgotten. Each service forgets the lead and tells the next one."""

    TYPE: ClassVar[str] = "accord.lead.erased"

    id: UUID
    erased_at: Instant
    by: str
