"""Sources: made, listed, changed, rotated and removed. Their secrets are sealed, and shown once."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.bodies import read_body
from services.api.routes.configured import created, page_of, renamed
from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import Cursor, IdempotencyKey, Limit, Parts, Registrar, invalid, principal_of
from services.api.schemas.lists import Page
from services.api.schemas.sources import (
    CreatedSource,
    ListedSource,
    RotatedSource,
    SampleBody,
    ShownSource,
    Source,
    SourceBody,
    SourceChange,
    SourceKindCount,
    SourceRotation,
    Traffic,
    Tried,
)
from services.api.store.configured import SOURCE
from services.api.store.sources import SourceStore
from shared.clock import new_id
from shared.http.problems import FieldError, Problem
from shared.secret_box import SecretBox
from shared.source_kinds import Draft, Sample, SourceKind
from shared.source_secrets import Secret, read, rotated, write

SETTINGS_BYTES_MAX = 256 * 1_024


class SourceRoutes:
    """Senders of webhooks."""

    def __init__(self, parts: Parts, store: SourceStore, box: SecretBox, kinds: Mapping[str, SourceKind]) -> None:
        self._parts = parts
        self._store = store
        self._box = box
        self._kinds = kinds

    def register(self, to: Registrar) -> None:
        one, add = "/v1/sources/{source_id}", to.add
        add("GET /v1/sources", self.list_sources, summary="Senders of webhooks", answer=Page[ListedSource])
        add(
            "POST /v1/sources",
            self.create_source,
            summary="A new sender",
            answer=CreatedSource,
            body=SourceBody,
            status=201,
        )
        add(f"GET {one}", self.show_source, summary="One sender, and what it sent by kind", answer=ShownSource)
        add(f"PATCH {one}", self.change_source, summary="Other settings, name, team", answer=Source, body=SourceChange)
        add(
            f"DELETE {one}",
            self.delete_source,
            summary="Its address is unknown within a second",
            answer=None,
            status=204,
        )
        add(
            f"POST {one}/rotation",
            self.rotate_source,
            summary="A new secret; the former ones go on working for a while",
            answer=RotatedSource,
            body=SourceRotation,
        )
        add(
            f"POST {one}/test",
            self.test_source,
            summary="What would become of a request; nothing of it is kept",
            answer=Tried,
            body=SampleBody,
        )

    async def create_source(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, SourceBody, self._parts)
        kind = self._kinds.get(body.kind)
        if kind is None:
            raise invalid("kind", f"is not executed by this release; allowed: {', '.join(sorted(self._kinds))}")
        _check(kind, body.settings)
        _check_may_erase(request, body.settings)
        secret = body.secret or kind.new_secret()

        async def create(connection: AsyncConnection) -> Created:
            sealed = self._box.seal(write((Secret(secret),)))
            row = await self._store.add(connection, {**body.model_dump(), "source_id": new_id(), "secret": sealed})
            address = self._address(row, secret)
            return created(Source, self._source(row), {"secret": secret, **_if_secret(address, secret)})

        return await create_once(self._parts, idempotent_call(self._parts, request, raw, idempotency_key), create)

    async def list_sources(self, limit: Limit = 50, cursor: Cursor = None) -> Page[ListedSource]:
        rows, following = await page_of(self._parts, SOURCE, UUID, limit, cursor)
        sent = await self._store.traffic([row["source_id"] for row in rows])
        items = [ListedSource(**self._source(row), traffic=_traffic(row["source_id"], sent)) for row in rows]
        return Page(items=items, next=following)

    async def show_source(self, source_id: UUID) -> ShownSource:
        row = await self._store.source(source_id)
        if row is None:
            raise no_such_source()
        kinds = await self._store.kinds(source_id)
        unmapped = [one["kind"] for one in kinds if one["standing"] == "unmapped"]
        mapped = row["settings"].get("events") or {}
        return ShownSource(
            **self._source(row),
            traffic=_traffic(source_id, await self._store.traffic([source_id])),
            kinds=[SourceKindCount(**one) for one in kinds],
            not_yet_mapped=[name for name in unmapped if name not in mapped],
        )

    async def change_source(self, source_id: UUID, request: Request) -> Source:
        body, _ = await read_body(request, SourceChange, self._parts)
        changed = body.model_dump(include=body.model_fields_set)
        for name, value in changed.items():
            if value is None:
                raise invalid(name, "may be left out, but not null")
        async with self._store.database.transaction() as connection:
            row = await self._locked(connection, source_id)
            if body.settings is not None:
                _check(self._kinds[row["kind"]], body.settings)
            _check_may_erase(request, row["settings"], body.settings or {})
            return Source(**self._source(await self._store.change(connection, source_id, changed)))

    async def delete_source(self, source_id: UUID) -> Response:
        async with self._store.database.transaction() as connection:
            if not await self._store.delete(connection, source_id):
                raise no_such_source()
        return Response(status_code=204)

    async def rotate_source(
        self, source_id: UUID, request: Request, idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        body, raw = await read_body(request, SourceRotation, self._parts, is_optional=True)

        async def rotate(connection: AsyncConnection) -> Created:
            row = await self._locked(connection, source_id)
            _check_may_erase(request, row["settings"])
            secret = body.secret or self._kinds[row["kind"]].new_secret()
            now = self._parts.clock.now()
            until = now + timedelta(seconds=body.overlap_seconds)
            secrets = rotated(read(self._box.open(row["secret"])), secret, now=now, until=until)
            row = await self._store.change(connection, source_id, {"secret": self._box.seal(write(secrets))})
            shown = {**self._source(row), "secret": None, "former_until": until}
            return created(RotatedSource, shown, {"secret": secret, **_if_secret(self._address(row, secret), secret)})

        call = idempotent_call(self._parts, request, raw, idempotency_key)
        return await create_once(self._parts, call, rotate, status=200)

    async def test_source(self, source_id: UUID, request: Request) -> Tried:
        body, _ = await read_body(request, SampleBody, self._parts)
        row = await self._store.source(source_id)
        if row is None:
            raise no_such_source()
        draft = Draft(source_id, row["name"], row["team"], row["settings"])
        sample = Sample(body.headers, body.body.encode(), body.path)
        return Tried(**self._kinds[row["kind"]].try_out(draft, sample))

    async def _locked(self, connection: AsyncConnection, source_id: UUID) -> Mapping[str, Any]:
        row = await self._store.locked(connection, source_id)
        if row is None:
            raise no_such_source()
        return row

    def _source(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {**renamed(row, "source_id"), "url": self._address(row, None)}

    def _address(self, row: Mapping[str, Any], secret: str | None) -> str:
        kind = self._kinds.get(row["kind"])
        path = kind.address(row["source_id"], secret) if kind else f"/v1/hooks/{row['source_id']}"
        return self._parts.public_url.rstrip("/") + path


def no_such_source() -> Problem:
    return Problem(404, "No such source", "No source has this id.")


def _check_may_erase(request: Request, *settings: Mapping[str, Any]) -> None:
    """Whoever has a hand in a source that erases leads could erase them by it. Raises Problem 403."""
    if any(one.get("erases") for one in settings):
        principal_of(request).require("leads:erase")


def _traffic(source_id: UUID, rows: Sequence[Mapping[str, Any]]) -> Traffic:
    of_source = [row for row in rows if row["source_id"] == source_id]
    firsts = [row["first_at"] for row in of_source]
    return Traffic(
        events=sum(row["events"] for row in of_source),
        by_standing={row["standing"]: row["events"] for row in of_source},
        first_at=min(firsts) if firsts and None not in firsts else None,
        last_at=max((row["last_at"] for row in of_source), default=None),
    )


def _if_secret(address: str, secret: str) -> Mapping[str, str]:
    """The whole address, once, where the secret is part of it; where it isn't, the answer has it already."""
    return {"url": address} if "?" in address else {}


def _check(kind: SourceKind, settings: Mapping[str, Any]) -> None:
    """Raises Problem 422 with every fault."""
    if len(json.dumps(settings)) > SETTINGS_BYTES_MAX:
        raise invalid("settings", f"must be at most {SETTINGS_BYTES_MAX} bytes")
    if faults := kind.check(settings):
        errors = [FieldError(f"settings.{path}".rstrip("."), message) for path, message in faults]
        raise Problem(422, "Invalid input", errors=errors)
