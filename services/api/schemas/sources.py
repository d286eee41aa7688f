"""Senders of webhooks."""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from services.api.schemas.fields import Body, Instant, Name

SourceKind = Literal[
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


class SourceBody(Body):
    """A sender of webhooks."""

    name: Name
    kind: SourceKind
    team: Literal["marketing", "sales"]
    secret: str | None = Field(None, min_length=1, max_length=1_000)
    settings: dict[str, Any] = Field(default_factory=dict)


class Source(BaseModel):
    id: UUID
    name: str
    kind: str
    team: str
    url: str
    settings: dict[str, Any]
    created_at: Instant


class CreatedSource(Source):
    secret: str | None = Field(description="Shown once; null when an Idempotency-Key is repeated.")
