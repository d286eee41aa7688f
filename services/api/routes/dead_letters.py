"""What services could not apply: listed, looked at, applied again, given up."""

import base64
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import IdempotencyKey, PageSize, Parts, Registrar, keys_of
from services.api.schemas.dead_letters import DeadLetter, DeadLetterItem, State
from services.api.schemas.lists import Page
from services.api.store.cursors import encode_cursor
from services.api.store.dead_letters import DeadLetterStore, LetterFilter
from shared.http.openapi import refusals
from shared.http.problems import Problem

_KIND = "dead-letters"


class LetterQuery(BaseModel):
    """What the list can be narrowed to."""

    state: State | None = None
    service: str | None = Field(None, max_length=64)
    kind: str | None = Field(None, max_length=200)
    lead_id: UUID | None = None
    limit: PageSize = 50
    cursor: str | None = Field(None, max_length=2_000)


class DeadLetterRoutes:
    """For operators. What a letter says may be personal data: it has a scope of its own."""

    def __init__(self, parts: Parts, store: DeadLetterStore) -> None:
        self._parts = parts
        self._store = store

    def register(self, to: Registrar) -> None:
        one = "/v1/dead-letters/{dead_letter}"
        to.add("GET /v1/dead-letters", self.list_letters, summary="Events not applied", answer=Page[DeadLetterItem])
        to.add(f"GET {one}", self.show_letter, summary="One, with what it says", answer=DeadLetter)
        once = refusals(409)
        summary = "Apply it again"
        to.add(f"POST {one}/replay", self.replay, summary=summary, answer=DeadLetterItem, status=202, also=once)
        to.add(f"POST {one}/discard", self.discard, summary="Give it up for good", answer=DeadLetterItem, also=once)

    async def list_letters(self, query: Annotated[LetterQuery, Query()]) -> Page[DeadLetterItem]:
        """The latest first."""
        wanted = LetterFilter(query.state, query.service, query.kind, query.lead_id)
        rows = await self._store.page(wanted, keys_of(query.cursor, _KIND, (datetime, UUID)), query.limit + 1)
        following = None
        if len(rows) > query.limit:
            following = encode_cursor(_KIND, [rows[query.limit - 1][name] for name in ("buried_at", "letter_id")])
        return Page(items=[DeadLetterItem(**_item(row)) for row in rows[: query.limit]], next=following)

    async def show_letter(self, dead_letter: UUID) -> DeadLetter:
        row = await self._row(dead_letter)
        value = bytes(row["value"])
        try:
            return DeadLetter(**_item(row), data=from_json(value))
        except ValueError:
            return DeadLetter(**_item(row), data_base64=base64.b64encode(value).decode())

    async def replay(self, dead_letter: UUID, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        """The owner of its partition applies it within seconds, with the time at which it was received at first."""
        answer = self._decide(dead_letter, self._store.replay, ("open", "replaying"))
        call = idempotent_call(self._parts, request, b"", idempotency_key)
        return await create_once(self._parts, call, answer, status=202)

    async def discard(
        self, dead_letter: UUID, request: Request, idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        answer = self._decide(dead_letter, self._store.discard, ("open", "discarded"))
        call = idempotent_call(self._parts, request, b"", idempotency_key)
        return await create_once(self._parts, call, answer, status=200)

    def _decide(
        self, letter_id: UUID, decide: Callable[[UUID], Awaitable[str | None]], allowed: tuple[str, ...]
    ) -> Callable[[AsyncConnection], Awaitable[Created]]:
        async def create(_: AsyncConnection) -> Created:
            before = await decide(letter_id)
            if before is not None and before not in allowed:
                raise Problem(409, "Decided before", f"This dead letter is {before}.")
            row = await self._row(letter_id)
            return Created(DeadLetterItem(**_item(row)).model_dump(mode="json"), {})

        return create

    async def _row(self, letter_id: UUID) -> dict[str, Any]:
        row = await self._store.letter(letter_id)
        if row is None:
            raise Problem(404, "No such dead letter", "No dead letter has this id.")
        return row


def _item(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "id": row["letter_id"], "offset": row["log_offset"]}
