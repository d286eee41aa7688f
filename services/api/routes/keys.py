"""Keys: made and listed. What they are made of is shown once."""

from fastapi import Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.bodies import read_body
from services.api.routes.configured import created, page_of, renamed
from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import Cursor, IdempotencyKey, Limit, Parts, Registrar, invalid, principal_of
from services.api.schemas.keys import CreatedKey, Key, KeyBody
from services.api.schemas.lists import Page
from services.api.store.configured import KEY
from shared.http.auth import ADMIN, Principal, new_key
from shared.http.problems import Problem


class KeyRoutes:
    """Who may call."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, to: Registrar) -> None:
        to.add("GET /v1/keys", self.list_keys, summary="Keys, without their secrets", answer=Page[Key])
        to.add("POST /v1/keys", self.create_key, summary="A new key", answer=CreatedKey, body=KeyBody, status=201)

    async def create_key(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, KeyBody, self._parts)
        _check_grant(principal_of(request), body)
        if body.expires_at is not None and body.expires_at <= self._parts.clock.now():
            raise invalid("expires_at", "must lie ahead")
        if body.source_id is not None and await self._parts.configured.source_name(body.source_id) is None:
            raise invalid("source_id", "is not a source")
        key = new_key()

        async def create(connection: AsyncConnection) -> Created:
            made = {"key_id": key.key_id, "secret_sha256": key.secret_sha256, "scopes": sorted(set(body.scopes))}
            row = await self._parts.configured.add(connection, KEY, {**body.model_dump(), **made})
            return created(Key, renamed(row, "key_id"), {"key": key.text})

        return await create_once(self._parts, idempotent_call(self._parts, request, raw, idempotency_key), create)

    async def list_keys(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Key]:
        rows, following = await page_of(self._parts, KEY, str, limit, cursor)
        return Page(items=[Key(**renamed(row, "key_id")) for row in rows], next=following)


def _check_grant(principal: Principal, body: KeyBody) -> None:
    """Nobody hands out more than they have."""
    beyond = sorted(scope for scope in set(body.scopes) if not principal.may(scope))
    if principal.role != ADMIN and (body.role == ADMIN or beyond):
        what = "the role admin" if body.role == ADMIN else f"the scopes {', '.join(beyond)}"
        raise Problem(403, "Not allowed", f"A key can't hand out {what} without having it.")
