"""The base of all event payloads: immutable, and tolerant of fields added later.

They are msgspec's structs, which are read from JSON and checked in one pass: a busy line reads ten thousands of them a
second. Making one in Python checks nothing; types do.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

Instant = Annotated[datetime, Meta(tz=True)]
Profile = dict[str, Any]
# Of a source, a campaign or a person. Anybody may publish on Kafka, and a key of an index holds 2,704 bytes at most.
Name = Annotated[str, Meta(max_length=500)]


class Data(Struct, frozen=True, kw_only=True):
    """The data of one event type. Fields are only ever added; readers ignore what they don't know."""

    TYPE: ClassVar[str]


class Payload(Data, frozen=True, kw_only=True):
    """The data of an event about a lead."""

    lead_id: UUID

    @property
    def key(self) -> UUID:
        """The key and the subject of the event."""
        return self.lead_id


class LeadSnapshot(Struct, frozen=True):
    """What services downstream need of a lead to decide and to tell."""

    email: str | None = None
    profile: Profile = {}
    source: str | None = None
    campaign: str | None = None
    first_source: str | None = None
    first_team: str | None = None


class Reason(Struct, frozen=True):
    """One reason of a score, in words: `{"words": "demo requested", "points": 60.0}`."""

    words: str
    points: float
