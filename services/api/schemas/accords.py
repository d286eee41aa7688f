"""Versions of the accord."""

from typing import Any

from pydantic import BaseModel

from services.api.schemas.fields import Instant


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
