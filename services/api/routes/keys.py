"""Keys: made, listed, changed, rotated and revoked. What they are made of is shown once.

Nobody but an admin touches a key of another role, or one that may more than they may themselves.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.bodies import read_body
from services.api.routes.configured import created, renamed
from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import Cursor, IdempotencyKey, Limit, Parts, Registrar, invalid, keys_of, principal_of
from services.api.schemas.keys import CreatedKey, Key, KeyBody, KeyChange, RotationBody
from services.api.schemas.lists import Page
from services.api.store.configured import KEY
from services.api.store.cursors import encode_cursor
from services.api.store.keys import KeyStore
from shared.http.auth import ADMIN, Principal, new_key, parse_key
from shared.http.openapi import refusals
from shared.http.problems import Problem


class KeyRoutes:
    """Who may call."""

    def __init__(self, parts: Parts, store: KeyStore) -> None:
        self._parts = parts
        self._store = store

    def register(self, to: Registrar) -> None:
        one = "/v1/keys/{key_id}"
        to.add("GET /v1/keys", self.list_keys, summary="Keys, without their secrets", answer=Page[Key])
        to.add("POST /v1/keys", self.create_key, summary="A new key", answer=CreatedKey, body=KeyBody, status=201)
        to.add(f"GET {one}", self.show_key, summary="One key, without its secret", answer=Key)
        to.add(
            f"PATCH {one}",
            self.change_key,
            summary="Other rights, name, owner or expiry",
            answer=Key,
            body=KeyChange,
            also=refusals(409),
        )
        to.add(
            f"DELETE {one}",
            self.revoke_key,
            summary="Revoked: it works nowhere within a second",
            answer=None,
            status=204,
            also=refusals(409),
        )
        to.add(
            f"POST {one}/rotation",
            self.rotate_key,
            summary="A new secret; the former one goes on working for a while",
            answer=CreatedKey,
            body=RotationBody,
        )

    async def create_key(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, KeyBody, self._parts)
        _check_grant(principal_of(request), body.role, body.scopes)
        self._check(body.role, body.owner, body.expires_at)
        if body.source_id is not None and await self._parts.configured.source_name(body.source_id) is None:
            raise invalid("source_id", "is not a source")
        key = new_key()

        async def create(connection: AsyncConnection) -> Created:
            made = {"key_id": key.key_id, "secret_sha256": key.secret_sha256, "scopes": sorted(set(body.scopes))}
            row = await self._parts.configured.add(connection, KEY, {**body.model_dump(), **made})
            return created(Key, _shown(row), {"key": key.text})

        return await create_once(self._parts, idempotent_call(self._parts, request, raw, idempotency_key), create)

    async def list_keys(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Key]:
        rows = await self._store.page(keys_of(cursor, "keys", (datetime, str)), limit + 1)
        following = None
        if len(rows) > limit:
            following = encode_cursor("keys", [rows[limit - 1][name] for name in ("created_at", "key_id")])
        return Page(items=[Key(**_shown(row)) for row in rows[:limit]], next=following)

    async def show_key(self, key_id: str) -> Key:
        row = await self._store.key(key_id)
        if row is None:
            raise _no_such_key()
        return Key(**_shown(row))

    async def change_key(self, key_id: str, request: Request) -> Key:
        body, _ = await read_body(request, KeyChange, self._parts)
        changed = body.model_dump(include=body.model_fields_set)
        for name in ("name", "role", "scopes"):
            if name in changed and changed[name] is None:
                raise invalid(name, "may be left out, but not null")
        async with self._store.database.transaction() as connection:
            row = await self._mine(connection, request, key_id)
            after = {**row, **changed}
            _check_grant(principal_of(request), after["role"], after["scopes"])
            self._check(after["role"], after["owner"], changed.get("expires_at"))
            if row["role"] == ADMIN and (after["role"] != ADMIN or after["expires_at"] is not None):
                await self._require_other_admin(connection, key_id)
            return Key(**_shown(await self._store.change(connection, key_id, changed)))

    async def revoke_key(self, key_id: str, request: Request) -> Response:
        async with self._store.database.transaction() as connection:
            row = await self._mine(connection, request, key_id)
            if row["role"] == ADMIN:
                await self._require_other_admin(connection, key_id)
            await self._store.revoke(connection, key_id)
        return Response(status_code=204)

    async def rotate_key(self, key_id: str, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, RotationBody, self._parts, is_optional=True)
        made = new_key()
        text = f"acc_{key_id}_{made.text.split('_', 2)[2]}"

        async def rotate(connection: AsyncConnection) -> Created:
            await self._mine(connection, request, key_id)
            parsed = parse_key(text)
            assert parsed is not None
            until = self._parts.clock.now() + timedelta(seconds=body.overlap_seconds)
            row = await self._store.rotate(connection, key_id, secret_sha256=parsed[1], former_until=until)
            return created(Key, _shown(row), {"key": text})

        call = idempotent_call(self._parts, request, raw, idempotency_key)
        return await create_once(self._parts, call, rotate, status=200)

    async def _mine(self, connection: AsyncConnection, request: Request, key_id: str) -> Mapping[str, Any]:
        """The key, if the caller might have made it. Raises Problem 403 or 404."""
        row = await self._store.locked(connection, key_id)
        if row is None:
            raise _no_such_key()
        _check_grant(principal_of(request), row["role"], row["scopes"])
        return row

    async def _require_other_admin(self, connection: AsyncConnection, key_id: str) -> None:
        if not await self._store.has_other_admin(connection, key_id):
            raise Problem(409, "Last admin key", "Make another key of role admin, without an expiry, first.")

    def _check(self, role: str, owner: str | None, expires_at: datetime | None) -> None:
        if role == ADMIN and owner is not None:
            raise invalid("owner", "must be left out for role admin, which has every right")
        if expires_at is not None and expires_at <= self._parts.clock.now():
            raise invalid("expires_at", "must lie ahead")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"last_used_at": None, **renamed(row, "key_id")}


def _no_such_key() -> Problem:
    return Problem(404, "No such key", "No key that is in use has this id.")


def _check_grant(principal: Principal, role: str, scopes: Collection[str]) -> None:
    """Nobody hands out more than they have: neither another role, which might sign for the other side, nor a scope."""
    if principal.role == ADMIN:
        return
    beyond = sorted(scope for scope in set(scopes) if not principal.may(scope))
    if role != principal.role or beyond:
        what = f"the role {role}" if role != principal.role else f"the scopes {', '.join(beyond)}"
        raise Problem(403, "Not allowed", f"A key can't hand out or change {what} without having it.")
