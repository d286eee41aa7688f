"""Bodies that callers send (HTTP.md "Bodies that outside checks rely on")."""

import base64
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl, TypeAdapter

from shared.events.codec import TOLD_TYPES
from shared.events.sales import Action
from shared.rfc3339 import FORM, parse_instant

Name = Annotated[str, Field(min_length=1, max_length=200)]


def _instant(value: Any) -> datetime:
    """What comes in is text; what the stores hold is a time already."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise ValueError(FORM)
    return parse_instant(value)


Instant = Annotated[AwareDatetime, BeforeValidator(_instant)]
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
SubscriptionFormat = Literal["standard", "slack", "teams", "email", "alertmanager"]
Role = Literal["marketing", "sales", "operations", "admin"]
_HTTP_URL = TypeAdapter(HttpUrl)


def _http_url(url: str) -> str:
    _HTTP_URL.validate_python(url)
    return url


def _webhook_secret(secret: str) -> str:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("must be whsec_ and then 24 to 64 bytes in base64")
    return secret


def _event_type(type_: str) -> str:
    """`*` is everything, `accord.clock.*` everything below."""
    is_pattern = type_ == "*" or type_.endswith(".*")
    if any(told.startswith(type_[:-1]) if is_pattern else told == type_ for told in TOLD_TYPES):
        return type_
    raise ValueError(f"is not a type of event that is told; allowed: *, accord.clock.*, {', '.join(TOLD_TYPES)}")


class Body(BaseModel):
    """What callers send: an unknown field is refused, because it is most often a misspelt one."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ActionBody(Body):
    """A sales action on a lead."""

    action: Action
    reason: str | None = Field(None, max_length=200)
    channel: str | None = Field(None, max_length=64, examples=["call"])
    until: Instant | None = None
    amount: float | None = Field(None, ge=0, le=1e15, allow_inf_nan=False)
    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$")
    owner: str | None = Field(None, min_length=1, max_length=320)
    note: str | None = Field(None, max_length=10_000)
    occurred_at: Instant | None = None


class SourceBody(Body):
    """A sender of webhooks."""

    name: Name
    kind: SourceKind
    team: Literal["marketing", "sales"]
    secret: str | None = Field(None, min_length=1, max_length=1_000)
    settings: dict[str, Any] = Field(default_factory=dict)


class SubscriptionBody(Body):
    """A receiver of events. `condition` is one of the accord's language, on the lead."""

    name: Name
    url: Annotated[str, Field(max_length=2_000), AfterValidator(_http_url)]
    types: list[Annotated[str, AfterValidator(_event_type)]] = Field(min_length=1, max_length=100)
    condition: dict[str, Any] | None = None
    format: SubscriptionFormat = "standard"
    secret: Annotated[str, Field(max_length=200), AfterValidator(_webhook_secret)] | None = None


class KeyBody(Body):
    """A key to be made. Role admin has every scope."""

    name: Name
    role: Role
    scopes: list[Annotated[str, Field(pattern=r"^[a-z]+:[a-z]+$", max_length=64)]] = Field(max_length=50)
    expires_at: Instant | None = None
    source_id: UUID | None = None
