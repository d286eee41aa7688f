"""What a source sent: the latest events, and requests that are kept because something in them could not be used."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import Cursor, IdempotencyKey, Limit, Parts, Registrar, keys_of
from services.api.routes.sources import no_such_source
from services.api.schemas.lists import Page
from services.api.schemas.sources import Replays, ShownSourceEvent, SourceEvent
from services.api.store.cursors import encode_cursor
from services.api.store.sources import SourceStore
from shared.http.problems import Problem
from shared.secret_box import SecretBox, WrongSecretKey

CURSOR = "source events"
Standings = Annotated[
    list[str], Query(max_length=20, description="accepted, duplicate, unmapped, incomplete, ignored, rejected, …")
]


class SourceEventRoutes:
    """Reads what ingest wrote down; a replay is asked for here and carried out there."""

    def __init__(self, parts: Parts, store: SourceStore, box: SecretBox) -> None:
        self._parts = parts
        self._store = store
        self._box = box

    def register(self, to: Registrar) -> None:
        events = "/v1/sources/{source_id}/events"
        to.add(
            f"GET {events}", self.list_events, summary="What a source sent, the latest first", answer=Page[SourceEvent]
        )
        to.add(
            f"GET {events}/{{event_id}}",
            self.show_event,
            summary="One of them, with the request if it is kept",
            answer=ShownSourceEvent,
        )
        to.add(
            f"POST {events}/{{event_id}}/replay",
            self.replay_event,
            summary="Take a kept request once more, under the settings of now",
            answer=Replays,
            status=202,
        )
        to.add(
            "POST /v1/sources/{source_id}/replays",
            self.replay_all,
            summary="Take all its kept requests once more, under the settings of now",
            answer=Replays,
            status=202,
        )

    async def list_events(
        self,
        source_id: UUID,
        standing: Standings = [],  # noqa: B006 (FastAPI copies it)
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[SourceEvent]:
        await self._require(source_id)
        keys = keys_of(cursor, CURSOR, (datetime, UUID))
        rows = await self._store.events(source_id, standing, keys, limit + 1)
        following = None
        if len(rows) > limit:
            following = encode_cursor(CURSOR, [rows[limit - 1][name] for name in ("received_at", "receipt_id")])
        return Page(items=[SourceEvent(**_event(row)) for row in rows[:limit]], next=following)

    async def show_event(self, source_id: UUID, event_id: UUID) -> ShownSourceEvent:
        row = await self._store.event(source_id, event_id)
        if row is None:
            raise _no_such_event()
        return ShownSourceEvent(**_event(row), request=self._opened(row["sent"]))

    async def replay_event(
        self, source_id: UUID, event_id: UUID, request: Request, idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        return await self._ask_once(source_id, event_id, request, idempotency_key)

    async def replay_all(
        self, source_id: UUID, request: Request, idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        return await self._ask_once(source_id, None, request, idempotency_key)

    async def _ask_once(
        self, source_id: UUID, event_id: UUID | None, request: Request, idempotency_key: str | None
    ) -> JSONResponse:
        """Asks for the replay of one kept request, or of all. Raises Problem 404."""
        await self._require(source_id)

        async def ask(connection: AsyncConnection) -> Created:
            asked = await self._store.ask_replay(connection, source_id, event_id, self._parts.clock.now())
            if event_id is not None and not asked:
                raise _no_such_event()
            return Created(Replays(asked=asked).model_dump(mode="json"), {})

        call = idempotent_call(self._parts, request, b"", idempotency_key)
        return await create_once(self._parts, call, ask, status=202)

    async def _require(self, source_id: UUID) -> None:
        if await self._store.source(source_id) is None:
            raise no_such_source()

    def _opened(self, sealed: str | None) -> dict[str, Any] | None:
        if sealed is None:
            return None
        try:
            method, path, headers, body, received_at = json.loads(self._box.open(sealed))
        except WrongSecretKey:
            return {"why": "it was sealed with a key that this process doesn't have"}
        text = body.encode("latin-1").decode("utf-8", "replace")
        return {"method": method, "path": path, "headers": headers, "body": text, "received_at": received_at}


def _event(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "id": row["receipt_id"]}


def _no_such_event() -> Problem:
    return Problem(404, "No such event", "This source has no such event, or its request isn't kept.")
