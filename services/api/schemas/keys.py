"""Keys, and who may do what with them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from services.api.schemas.fields import Body, Instant, Name
from shared.http.scopes import SCOPES

Role = Literal["marketing", "sales", "operations", "admin"]


def _scope(scope: str) -> str:
    if scope not in SCOPES:
        raise ValueError(f"is not a scope; allowed: {', '.join(SCOPES)}")
    return scope


Scopes = Annotated[
    list[Annotated[str, Field(json_schema_extra={"enum": list(SCOPES)}), AfterValidator(_scope)]], Field(max_length=50)
]
Owner = Annotated[str, Field(min_length=1, max_length=320, examples=["rep1@sales.example"])]


class KeyBody(Body):
    """A key to be made. Role admin has every scope; with `owner` the key is limited to that one's leads."""

    name: Name
    role: Role
    scopes: Scopes
    expires_at: Instant | None = None
    source_id: UUID | None = None
    owner: Owner | None = None


class KeyChange(Body):
    """What of a key changes; what is left out stays."""

    name: Name | None = None
    role: Role | None = None
    scopes: Scopes | None = None
    expires_at: Instant | None = None
    owner: Owner | None = None


class RotationBody(Body):
    """How long the former secret goes on working."""

    overlap_seconds: int = Field(86_400, ge=0, le=7 * 86_400)


class Key(BaseModel):
    id: str
    name: str
    role: str
    scopes: list[str]
    source_id: UUID | None
    owner: str | None
    expires_at: Instant | None
    revoked_at: Instant | None
    former_until: Instant | None = Field(description="Until when the secret before a rotation works.")
    last_used_at: Instant | None = Field(description="To within some ten seconds.")
    created_at: Instant


class CreatedKey(Key):
    key: str | None = Field(description="Shown once; null when an Idempotency-Key is repeated.")
