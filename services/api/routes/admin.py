"""Sources, subscriptions and keys: made and listed. Their secrets are shown once."""

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.bodies import read_body
from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import Cursor, IdempotencyKey, Limit, Parts, Registrar, invalid, keys_of, principal_of
from services.api.schemas.answers import CreatedKey, CreatedSource, CreatedSubscription, Key, Page, Source, Subscription
from services.api.schemas.bodies import KeyBody, SourceBody, SubscriptionBody
from services.api.store.admin import KEY, SOURCE, SUBSCRIPTION, Noun
from services.api.store.cursors import encode_cursor
from shared.agreement.condition_parsing import InvalidCondition, parse_condition
from shared.clock import new_id
from shared.http.auth import ADMIN, Principal, new_key
from shared.http.problems import FieldError, Problem

SECRET_BYTES = 32


class AdminRoutes:
    """What people configure."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, to: Registrar) -> None:
        add = to.add
        add("GET /v1/sources", self.list_sources, summary="Senders of webhooks", answer=Page[Source])
        add(
            "POST /v1/sources",
            self.create_source,
            summary="A new sender",
            answer=CreatedSource,
            body=SourceBody,
            status=201,
        )
        add("GET /v1/subscriptions", self.list_subscriptions, summary="Receivers of events", answer=Page[Subscription])
        add(
            "POST /v1/subscriptions",
            self.create_subscription,
            summary="A new receiver",
            answer=CreatedSubscription,
            body=SubscriptionBody,
            status=201,
        )
        add("GET /v1/keys", self.list_keys, summary="Keys, without their secrets", answer=Page[Key])
        add("POST /v1/keys", self.create_key, summary="A new key", answer=CreatedKey, body=KeyBody, status=201)

    async def create_source(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, SourceBody, self._parts)
        secret = body.secret or secrets.token_urlsafe(SECRET_BYTES)

        async def create(connection: AsyncConnection) -> Created:
            values = {**body.model_dump(), "source_id": new_id(), "secret": secret}
            row = await self._parts.admin.add(connection, SOURCE, values)
            return _created(Source, self._source(row), {"secret": secret})

        return await create_once(self._parts, idempotent_call(self._parts, request, raw, idempotency_key), create)

    async def create_subscription(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, SubscriptionBody, self._parts)
        _check_condition(body.condition)
        secret = body.secret or "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()

        async def create(connection: AsyncConnection) -> Created:
            values = {**body.model_dump(), "subscription_id": new_id(), "secret": secret}
            row = await self._parts.admin.add(connection, SUBSCRIPTION, values)
            return _created(Subscription, _renamed(row, "subscription_id"), {"secret": secret})

        return await create_once(self._parts, idempotent_call(self._parts, request, raw, idempotency_key), create)

    async def create_key(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, KeyBody, self._parts)
        _check_grant(principal_of(request), body)
        if body.expires_at is not None and body.expires_at <= self._parts.clock.now():
            raise invalid("expires_at", "must lie ahead")
        if body.source_id is not None and await self._parts.admin.source_name(body.source_id) is None:
            raise invalid("source_id", "is not a source")
        key = new_key()

        async def create(connection: AsyncConnection) -> Created:
            made = {"key_id": key.key_id, "secret_sha256": key.secret_sha256, "scopes": sorted(set(body.scopes))}
            row = await self._parts.admin.add(connection, KEY, {**body.model_dump(), **made})
            return _created(Key, _renamed(row, "key_id"), {"key": key.text})

        return await create_once(self._parts, idempotent_call(self._parts, request, raw, idempotency_key), create)

    async def list_sources(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Source]:
        rows, following = await self._page(SOURCE, UUID, limit, cursor)
        return Page(items=[Source(**self._source(row)) for row in rows], next=following)

    async def list_subscriptions(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Subscription]:
        rows, following = await self._page(SUBSCRIPTION, UUID, limit, cursor)
        return Page(items=[Subscription(**_renamed(row, "subscription_id")) for row in rows], next=following)

    async def list_keys(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Key]:
        rows, following = await self._page(KEY, str, limit, cursor)
        return Page(items=[Key(**_renamed(row, "key_id")) for row in rows], next=following)

    async def _page(
        self, noun: Noun, id_type: type, limit: int, cursor: str | None
    ) -> tuple[list[Mapping[str, Any]], str | None]:
        kind = noun.table.name
        rows = list(await self._parts.admin.page(noun, keys_of(cursor, kind, (datetime, id_type)), limit + 1))
        if len(rows) <= limit:
            return list(rows), None
        last = rows[limit - 1]
        return list(rows[:limit]), encode_cursor(kind, (last["created_at"], last[noun.id.name]))

    def _source(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **_renamed(row, "source_id"),
            "url": f"{self._parts.public_url.rstrip('/')}/v1/hooks/{row['source_id']}",
        }


def _renamed(row: Mapping[str, Any], id_name: str) -> dict[str, Any]:
    return {**row, "id": row[id_name]}


def _created(model: type[BaseModel], values: Mapping[str, Any], shown_once: Mapping[str, str]) -> Created:
    return Created(model(**values).model_dump(mode="json"), shown_once)


def _check_condition(condition: Mapping[str, Any] | None) -> None:
    if condition is None:
        return
    try:
        parse_condition(condition)
    except InvalidCondition as error:
        errors = [
            FieldError(
                ".".join(("condition", *map(str, problem.at))), f"found {problem.found}, allowed: {problem.allowed}"
            )
            for problem in error.problems
        ]
        raise Problem(422, "Invalid input", errors=errors) from None


def _check_grant(principal: Principal, body: KeyBody) -> None:
    """Nobody hands out more than they have."""
    beyond = sorted(scope for scope in set(body.scopes) if not principal.may(scope))
    if principal.role != ADMIN and (body.role == ADMIN or beyond):
        what = "the role admin" if body.role == ADMIN else f"the scopes {', '.join(beyond)}"
        raise Problem(403, "Not allowed", f"A key can't hand out {what} without having it.")
