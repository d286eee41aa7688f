"""Senders of webhooks, what they sent, and what of it could not be used."""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from services.api.schemas.fields import Body, Instant, Name

SourceKindName = Literal[
    "segment",
    "hubspot",
    "marketo",
    "mailchimp",
    "typeform",
    "surveymonkey",
    "eventbrite",
    "calendly",
    "pipedrive",
    "salesforce",
    "cloudevents",
    "generic",
]
Team = Literal["marketing", "sales"]
OVERLAP_SECONDS_MAX = 30 * 86_400
SAMPLE_CHARACTERS_MAX = 512 * 1_024


class SourceBody(Body):
    """A sender of webhooks. What `settings` may hold depends on the kind; a wrong one is named with its path."""

    name: Name
    kind: SourceKindName
    team: Team
    secret: str | None = Field(None, min_length=1, max_length=1_000)
    settings: dict[str, Any] = Field(default_factory=dict)


class SourceChange(Body):
    """What of a source changes; what is left out stays. `settings` are replaced as a whole."""

    name: Name | None = None
    team: Team | None = None
    settings: dict[str, Any] | None = None


class SourceRotation(Body):
    """A new secret, made or given; the former ones go on working for the overlap."""

    secret: str | None = Field(None, min_length=1, max_length=1_000)
    overlap_seconds: int = Field(86_400, ge=0, le=OVERLAP_SECONDS_MAX)


class SampleBody(Body):
    """A request as the sender would post it; `body` is its text."""

    body: str = Field(max_length=SAMPLE_CHARACTERS_MAX)
    headers: dict[str, str] = Field(default_factory=dict, max_length=100)
    path: str = Field("/v1/hooks/sample", max_length=200, description="Of Segment's calls: /segment/v1/track")


class Source(BaseModel):
    id: UUID
    name: str
    kind: str
    team: str
    url: str = Field(description="To be pasted at the sender. A secret that is part of it is shown once.")
    settings: dict[str, Any]
    created_at: Instant
    changed_at: Instant


class Traffic(BaseModel):
    """How much a source sent to its address since it was made, by what was made of it (the standings of its events)."""

    events: int
    by_standing: dict[str, int]
    first_at: Instant | None = Field(description="Null also where the first came before Accord noted that.")
    last_at: Instant | None


class ListedSource(Source):
    """With how much it sent."""

    traffic: Traffic


class CreatedSource(Source):
    secret: str | None = Field(description="Shown once; null when an Idempotency-Key is repeated.")


class RotatedSource(CreatedSource):
    former_until: Instant = Field(description="Until when the secrets before this one work.")


class SourceKindCount(BaseModel):
    """How much of one kind came, and what was made of it. `unmapped`: published as `vendor.kind` until it is mapped."""

    kind: str
    standing: str
    events: int
    first_at: Instant | None
    last_at: Instant


class ShownSource(ListedSource):
    kinds: list[SourceKindCount] = Field(description="What it sent, by kind: the latest first.")
    not_yet_mapped: list[str] = Field(description="Kinds that have no type of their own yet.")


class SourceEvent(BaseModel):
    """Something that a source sent. `is_kept`: the request is held until it is replayed or too old."""

    id: UUID
    received_at: Instant
    standing: str = Field(
        description="accepted, duplicate, unmapped, incomplete, ignored, erasure, rejected, unreadable or refused"
    )
    kind: str | None
    type: str | None
    event_id: UUID | None
    reason: str | None
    items: list[dict[str, Any]]
    is_kept: bool
    replayed_at: Instant | None


class ShownSourceEvent(SourceEvent):
    request: dict[str, Any] | None = Field(description="The request that is kept, without what proved its sender.")


class Replays(BaseModel):
    asked: int = Field(description="How many kept requests will be taken once more.")


class Tried(BaseModel):
    """What would become of a sample."""

    events: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    refused: str | None
