"""Bodies of the api, in and out (HTTP.md "Bodies that outside checks rely on")."""

import base64
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter

from shared.events.codec import EVENT_TYPES
from shared.events.sales import Action

Name = Annotated[str, Field(min_length=1, max_length=200)]


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from error


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
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
    if type_ != "*" and type_ not in EVENT_TYPES:
        raise ValueError(f"is not an event type; allowed: *, {', '.join(EVENT_TYPES)}")
    return type_


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
