"""Dead letters, as they are shown."""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from services.api.schemas.fields import Instant

State = Literal["open", "replaying", "replayed", "discarded"]


class DeadLetterItem(BaseModel):
    """An event that a service could not apply, and why."""

    id: UUID
    state: State
    service: str
    topic: str
    partition: int
    offset: int
    event_id: UUID
    type: str
    lead_id: UUID
    kind: str = Field(description="The kind of error.")
    message: str
    received_at: Instant
    buried_at: Instant


class DeadLetter(DeadLetterItem):
    """With what the event says: as JSON, or in base64 if it isn't that."""

    data: Any = None
    data_base64: str | None = None
