"""Receivers of events: what is asked of them, and how they fare."""

import base64
from datetime import time
from typing import Annotated, Any, Final, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, Field, field_validator, model_validator

from services.api.schemas.fields import Body, Instant, Name
from shared.events.codec import TOLD_TYPES
from shared.events.subscription import DISABLED

SubscriptionFormat = Literal["standard", "slack", "teams", "email", "alertmanager"]
Signature = Literal["v1", "v1a"]
# What a subscription can ask for; a person, not a program, reads these.
READ_BY_PEOPLE: Final = ("slack", "teams", "email")
TYPES: Final = (*TOLD_TYPES, DISABLED)
IDS_MAX: Final = 1_000


def _webhook_secret(secret: str) -> str:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("must be whsec_ and then 24 to 64 bytes in base64")
    return secret


def event_type(type_: str) -> str:
    """`*` is everything, `accord.clock.*` everything below."""
    is_pattern = type_ == "*" or type_.endswith(".*")
    if any(told.startswith(type_[:-1]) if is_pattern else told == type_ for told in TYPES):
        return type_
    raise ValueError(f"is not a type of event that is told; allowed: *, accord.clock.*, {', '.join(TYPES)}")


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("is not an IANA time zone, such as Europe/Paris")
    return name


def _reading(text: str) -> str:
    try:
        return time.fromisoformat(text).strftime("%H:%M")
    except ValueError:
        raise ValueError("must be a time of day, such as 20:00") from None


Secret = Annotated[str, Field(max_length=200), AfterValidator(_webhook_secret)]
Types = Annotated[
    list[Annotated[str, Field(max_length=200), AfterValidator(event_type)]], Field(min_length=1, max_length=100)
]
Url = Annotated[str, Field(min_length=1, max_length=2_000)]
Reading = Annotated[str, Field(max_length=5, pattern=r"^\d\d:\d\d$", examples=["20:00"]), AfterValidator(_reading)]
InFlight = Annotated[int, Field(ge=1, le=1_000, description="Tries under way at once, in each process.")]
Rate = Annotated[float, Field(gt=0, le=10_000, description="Tries a second at most, in each process.")]
Timeout = Annotated[float, Field(ge=1, le=60, description="For one whole try.")]
Group = Annotated[
    int, Field(ge=0, le=86_400, description="After a message the next waits so long, and tells all that came.")
]


class QuietHours(Body):
    """When a person gets no message; past midnight if `to` is not later than `from`."""

    timezone: Annotated[str, Field(max_length=64, examples=["Europe/Paris"]), AfterValidator(_zone)]
    from_: Reading = Field(alias="from")
    to: Reading

    @model_validator(mode="after")
    def _is_not_always(self) -> "QuietHours":
        if self.from_ == self.to:
            raise ValueError("from and to are the same: nothing would ever be told")
        return self


class Bounds(Body):
    """What may be asked for, and changed later."""

    condition: dict[str, Any] | None = Field(
        None, description="In the accord's language, on the lead and the fields of the event."
    )
    in_flight_max: InFlight | None = None
    rate_per_second: Rate | None = None
    timeout_seconds: Timeout | None = None
    quiet_hours: QuietHours | None = None


class SubscriptionBody(Bounds):
    """A receiver of events."""

    name: Name
    url: Url = Field(description="https://…; for email mailto: and addresses, separated by commas.")
    types: Types
    format: SubscriptionFormat = "standard"
    secret: Secret | None = None
    signatures: list[Signature] = Field(["v1"], min_length=1, max_length=2, description="v1a is Ed25519.")
    group_seconds: Group | None = None
    handshake: bool = Field(False, description="Ask the endpoint for its consent first (CloudEvents webhooks).")

    @field_validator("signatures")
    @classmethod
    def _are_two(cls, given: list[Signature]) -> list[Signature]:
        return sorted(set(given))


class SubscriptionChange(Bounds):
    """What is left out stays; null takes a bound, a condition or quiet hours away. `state` active also enables again
    what was disabled."""

    name: Name | None = None
    url: Url | None = None
    types: Types | None = None
    group_seconds: Group | None = None
    handshake: bool | None = None
    state: Literal["active", "paused"] | None = None


class SubscriptionRotation(Body):
    """A new secret; without one it is made. The former one signs too while the overlap lasts."""

    secret: Secret | None = None
    overlap_seconds: int = Field(86_400, ge=0, le=7 * 86_400)


class Subscription(BaseModel):
    """`state`: active; paused (what comes waits); disabled (nothing is told, see `disabled_because`); unconfirmed (the
    endpoint has not given the consent that was asked for, see `refusal`)."""

    id: UUID
    name: str
    url: str
    types: list[str]
    condition: dict[str, Any] | None
    format: str
    signatures: list[str]
    public_key: str | None = Field(description="Verifies v1a signatures.")
    state: str
    failing_since: Instant | None
    disabled_at: Instant | None
    disabled_because: str | None
    in_flight_max: int | None
    rate_per_second: float | None
    timeout_seconds: float | None
    group_seconds: int
    quiet_hours: dict[str, str] | None
    handshake: bool
    refusal: str | None
    created_at: Instant
    updated_at: Instant


class CreatedSubscription(Subscription):
    secret: str | None = Field(description="Shown once; null when an Idempotency-Key is repeated.")


class ReplayBody(Body):
    """What was received in [from, to) and is wanted by this subscription, or the events of these ids."""

    from_: Instant | None = Field(None, alias="from")
    to: Instant | None = None
    event_id: UUID | None = None
    event_ids: list[UUID] | None = Field(None, min_length=1, max_length=IDS_MAX)

    @property
    def ids(self) -> list[UUID] | None:
        given = [*(self.event_ids or []), *([self.event_id] if self.event_id else [])]
        return given or None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "ReplayBody":
        if (self.ids is None) == (self.from_ is None):
            raise ValueError("needs either from (and to), or event_id or event_ids")
        if self.from_ is not None and self.to is not None and self.to <= self.from_:
            raise ValueError("to must be later than from")
        return self


class TestBody(Body):
    """Nothing more needs to be said."""

    __test__ = False


class Requested(BaseModel):
    """What was asked for is on file; delivery does it within a second."""

    id: UUID
    kind: Literal["replay", "test"]
    delivery_id: UUID | None = Field(None, description="Of a test: its webhook-id.")
    created_at: Instant


class Attempt(BaseModel):
    """One try, and the first KiB of its answer."""

    attempt: int
    started_at: Instant
    outcome: str
    status: int | None
    latency_seconds: float
    answer: str


class Delivery(BaseModel):
    """One event on its way to one receiver; `id` is its webhook-id."""

    id: UUID
    event_id: UUID
    lead_id: UUID
    type: str
    state: str = Field(description="pending, delivered or dead")
    outcome: str | None
    status: int | None
    latency_seconds: float | None
    created_at: Instant
    next_attempt_at: Instant | None
    delivered_at: Instant | None
    attempts: list[Attempt]
