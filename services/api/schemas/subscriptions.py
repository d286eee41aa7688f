"""Receivers of events."""

import base64
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from services.api.schemas.fields import Body, HttpUrlText, Instant, Name
from shared.events.codec import TOLD_TYPES

SubscriptionFormat = Literal["standard", "slack", "teams", "email", "alertmanager"]


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


class SubscriptionBody(Body):
    """A receiver of events. `condition` is one of the accord's language, on the lead."""

    name: Name
    url: HttpUrlText
    types: list[Annotated[str, AfterValidator(_event_type)]] = Field(min_length=1, max_length=100)
    condition: dict[str, Any] | None = None
    format: SubscriptionFormat = "standard"
    secret: Annotated[str, Field(max_length=200), AfterValidator(_webhook_secret)] | None = None


class Subscription(BaseModel):
    id: UUID
    name: str
    url: str
    types: list[str]
    condition: dict[str, Any] | None
    format: str
    state: str
    created_at: Instant


class CreatedSubscription(Subscription):
    secret: str | None = Field(description="Shown once; null when an Idempotency-Key is repeated.")
