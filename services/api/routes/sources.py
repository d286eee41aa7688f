"""Sources: made and listed. Their secrets are shown once."""

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.bodies import read_body
from services.api.routes.configured import SECRET_BYTES, created, page_of, renamed
from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import Cursor, IdempotencyKey, Limit, Parts, Registrar
from services.api.schemas.lists import Page
from services.api.schemas.sources import CreatedSource, Source, SourceBody
from services.api.store.configured import SOURCE
from shared.clock import new_id


class SourceRoutes:
    """Senders of webhooks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/sources", self.list_sources, summary="Senders of webhooks", answer=Page[Source])
        to.add(
            "POST /v1/sources",
            self.create_source,
            summary="A new sender",
            answer=CreatedSource,
            body=SourceBody,
            status=201,
        )

    async def create_source(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, SourceBody, self._parts)
        secret = body.secret or secrets.token_urlsafe(SECRET_BYTES)

        async def create(connection: AsyncConnection) -> Created:
            values = {**body.model_dump(), "source_id": new_id(), "secret": secret}
            row = await self._parts.configured.add(connection, SOURCE, values)
            return created(Source, self._source(row), {"secret": secret})

        return await create_once(self._parts, idempotent_call(self._parts, request, raw, idempotency_key), create)

    async def list_sources(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Source]:
        rows, following = await page_of(self._parts, SOURCE, UUID, limit, cursor)
        return Page(items=[Source(**self._source(row)) for row in rows], next=following)

    def _source(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **renamed(row, "source_id"),
            "url": f"{self._parts.public_url.rstrip('/')}/v1/hooks/{row['source_id']}",
        }
