"""Keys, and who may do what with them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from services.api.schemas.fields import Body, Instant, Name

Role = Literal["marketing", "sales", "operations", "admin"]


class KeyBody(Body):
    """A key to be made. Role admin has every scope."""

    name: Name
    role: Role
    scopes: list[Annotated[str, Field(pattern=r"^[a-z]+:[a-z]+$", max_length=64)]] = Field(max_length=50)
    expires_at: Instant | None = None
    source_id: UUID | None = None


class Key(BaseModel):
    id: str
    name: str
    role: str
    scopes: list[str]
    source_id: UUID | None
    expires_at: Instant | None
    revoked_at: Instant | None
    created_at: Instant


class CreatedKey(Key):
    key: str | None = Field(description="Shown once; null when an Idempotency-Key is repeated.")
