"""Events on accord.dead-letter.v1: what could not be applied."""

from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from shared.events.base import Instant


class DeadLettered(Struct, frozen=True, kw_only=True):
    """One event that a service could not apply; `original` is its data in base64, cut at 256 KiB."""

    TYPE: ClassVar[str] = "accord.dead-letter"

    service: str
    topic: str
    partition: int
    position: int
    key: UUID
    event_id: UUID
    event_type: str
    kind: str
    message: str
    original: str
    truncated: bool = False
    at: Instant
