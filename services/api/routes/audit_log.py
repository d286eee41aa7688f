"""Who changed what, the newest first."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from services.api.routes.parts import PageSize, Parts, Registrar, keys_of
from services.api.schemas.audit_log import AuditEntry
from services.api.schemas.fields import Instant
from services.api.schemas.lists import Page
from services.api.store.audit_log import EntryFilter
from services.api.store.cursors import encode_cursor


class AuditQuery(BaseModel):
    """What the log can be narrowed to."""

    subject: str | None = Field(None, max_length=64, examples=["key"])
    subject_id: str | None = Field(None, max_length=320)
    actor: str | None = Field(None, max_length=320)
    from_: Instant | None = Field(None, alias="from")
    to: Instant | None = None
    limit: PageSize = 50
    cursor: str | None = Field(None, max_length=2_000)


class AuditLogRoutes:
    """Reads the audit log."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/audit-log", self.list_entries, summary="Who changed what", answer=Page[AuditEntry])

    async def list_entries(self, query: Annotated[AuditQuery, Query()]) -> Page[AuditEntry]:
        wanted = EntryFilter(query.subject, query.subject_id, query.actor, query.from_, query.to)
        keys = keys_of(query.cursor, "audit-log", (int,))
        rows = await self._parts.audit_log.page(wanted, keys, query.limit + 1)
        following = encode_cursor("audit-log", (rows[query.limit - 1]["entry"],)) if len(rows) > query.limit else None
        return Page(items=[AuditEntry(id=row["entry"], **row) for row in rows[: query.limit]], next=following)
