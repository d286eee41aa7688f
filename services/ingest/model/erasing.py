"""Whom a source's vendor asks to forget."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.ingest.model.events import Identifier


class ErasureAsked(NamedTuple):
    """A person whom a source asks to forget, by what it knows them as: whoever is on file under one of these."""

    identifiers: tuple[Identifier, ...]
    source_id: UUID
    source: str
    asked_at: datetime
