"""Subscriptions: made, listed, changed, rotated, ended. Their secrets are shown once."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.bodies import read_body
from services.api.routes.configured import SECRET_BYTES, created
from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import Cursor, IdempotencyKey, Limit, Parts, Registrar, invalid, keys_of
from services.api.routes.targets import check_condition, check_format, check_url
from services.api.schemas.lists import Page
from services.api.schemas.subscriptions import (
    CreatedSubscription,
    Subscription,
    SubscriptionBody,
    SubscriptionChange,
    SubscriptionRotation,
)
from services.api.store.configured import SUBSCRIPTION
from services.api.store.cursors import encode_cursor
from services.api.store.subscriptions import SubscriptionStore
from shared.clock import new_id
from shared.http.problems import Problem
from shared.secret_box import SecretBox
from shared.webhook_secrets import SigningKey, ed25519_keys, read, rotated, symmetric_key, write

# Chat and mail tell what came meanwhile in one message; a quick look every few seconds is what people bear.
GROUP_SECONDS: Final[Mapping[str, int]] = {"slack": 10, "teams": 10, "email": 300}
_NEVER_NULL: Final = ("name", "url", "types", "group_seconds", "handshake", "state")


class SubscriptionRoutes:
    """Receivers of events."""

    def __init__(self, parts: Parts, store: SubscriptionStore, box: SecretBox) -> None:
        self._parts = parts
        self._store = store
        self._box = box

    def register(self, to: Registrar) -> None:
        add, one = to.add, "/v1/subscriptions/{subscription_id}"
        add("GET /v1/subscriptions", self.list_all, summary="Receivers of events", answer=Page[Subscription])
        add(
            "POST /v1/subscriptions",
            self.create,
            summary="A new receiver",
            answer=CreatedSubscription,
            body=SubscriptionBody,
            status=201,
        )
        add(f"GET {one}", self.show, summary="One receiver, and how its endpoint fares", answer=Subscription)
        summary = "Change, pause, resume or enable a receiver"
        add(f"PATCH {one}", self.change, summary=summary, answer=Subscription, body=SubscriptionChange)
        add(f"DELETE {one}", self.remove, summary="Nothing more is told", answer=None, status=204)
        summary = "A new secret; the former one signs too for a while"
        add(f"POST {one}/rotation", self.rotate, summary=summary, answer=CreatedSubscription, body=SubscriptionRotation)

    async def create(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, SubscriptionBody, self._parts)
        check_condition(body.condition)
        check_url(body.url, body.format)
        check_format(body.format, quiet_hours=body.quiet_hours, group_seconds=body.group_seconds)
        secret = body.secret or symmetric_key(secrets.token_bytes(SECRET_BYTES))
        keys, public_key = _keys(body.signatures, secret)
        usual = GROUP_SECONDS.get(body.format, 0)
        group_seconds = usual if body.group_seconds is None else body.group_seconds

        async def create(connection: AsyncConnection) -> Created:
            values = {
                **body.model_dump(exclude={"secret", "quiet_hours", "group_seconds"}),
                "quiet_hours": _stored(body.quiet_hours),
                "group_seconds": group_seconds,
                "subscription_id": new_id(),
                "secret": self._box.seal(write(keys)),
                "public_key": public_key,
            }
            row = await self._parts.configured.add(connection, SUBSCRIPTION, values)
            return created(Subscription, shown(row), {"secret": secret})

        return await create_once(self._parts, idempotent_call(self._parts, request, raw, idempotency_key), create)

    async def list_all(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Subscription]:
        rows = await self._store.page(keys_of(cursor, "subscriptions", (datetime, UUID)), limit + 1)
        following = None
        if len(rows) > limit:
            last = rows[limit - 1]
            following = encode_cursor("subscriptions", (last["created_at"], last["subscription_id"]))
        return Page(items=[Subscription(**shown(row)) for row in rows[:limit]], next=following)

    async def show(self, subscription_id: UUID) -> Subscription:
        row = await self._store.one(subscription_id)
        if row is None:
            raise no_such_subscription()
        return Subscription(**shown(row))

    async def change(self, subscription_id: UUID, request: Request) -> Subscription:
        body, _ = await read_body(request, SubscriptionChange, self._parts)
        for name in body.model_fields_set:
            if name in _NEVER_NULL and getattr(body, name) is None:
                raise invalid(name, "may be left out, but not null")
        check_condition(body.condition)
        async with self._store.database.transaction() as connection:
            row = await self._locked(connection, subscription_id)
            if body.url is not None:
                check_url(body.url, row["format"])
            check_format(row["format"], quiet_hours=body.quiet_hours, group_seconds=body.group_seconds)
            values: dict[str, Any] = body.model_dump(include=body.model_fields_set)
            if "quiet_hours" in values:
                values["quiet_hours"] = _stored(body.quiet_hours)
            # Another endpoint, or the same one again: what was found about it counts no more.
            if body.state == "active" or (body.url is not None and body.url != row["url"]):
                values["enabling"] = row["enabling"] + 1
            await self._store.change(connection, subscription_id, values)
            return Subscription(**shown(await self._store.read(connection, subscription_id)))

    async def remove(self, subscription_id: UUID) -> Response:
        async with self._store.database.transaction() as connection:
            await self._locked(connection, subscription_id)
            await self._store.change(connection, subscription_id, {"deleted_at": func.clock_timestamp()})
        return Response(status_code=204)

    async def rotate(
        self, subscription_id: UUID, request: Request, idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        body, raw = await read_body(request, SubscriptionRotation, self._parts, is_optional=True)
        secret = body.secret or symmetric_key(secrets.token_bytes(SECRET_BYTES))
        now = self._parts.clock.now()
        until = now + timedelta(seconds=body.overlap_seconds)

        async def rotate(connection: AsyncConnection) -> Created:
            row = await self._locked(connection, subscription_id)
            new, public_key = _keys(row["signatures"], secret)
            keys = _opened(self._box, row["secret"])
            for key in reversed(new):
                keys = rotated(keys, key, now=now, until=until)
            values = {"secret": self._box.seal(write(keys)), "public_key": public_key}
            await self._store.change(connection, subscription_id, values)
            return created(Subscription, shown(await self._store.read(connection, subscription_id)), {"secret": secret})

        call = idempotent_call(self._parts, request, raw, idempotency_key)
        return await create_once(self._parts, call, rotate, status=200)

    async def _locked(self, connection: AsyncConnection, subscription_id: UUID) -> Mapping[str, Any]:
        row = await self._store.locked(connection, subscription_id)
        if row is None:
            raise no_such_subscription()
        return row


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as its body; one without the endpoint's side is of a subscription just made."""
    fares = {name: row.get(name) for name in ("failing_since", "disabled_at", "refusal")}
    state = row["state"]
    if fares["disabled_at"] is not None:
        state = "disabled"
    elif state == "active" and row["handshake"] and row.get("agreed_url") != row["url"]:
        state = "unconfirmed"
    return {**row, **fares, "id": row["subscription_id"], "state": state, "disabled_because": row.get("why")}


def no_such_subscription() -> Problem:
    return Problem(404, "No such subscription", "No subscription has this id.")


def _keys(signatures: Sequence[str], secret: str) -> tuple[list[SigningKey], str | None]:
    """What is signed with, and what verifies `v1a`."""
    keys = [SigningKey(secret)] if "v1" in signatures else []
    if "v1a" not in signatures:
        return keys, None
    private, public = ed25519_keys(secrets.token_bytes(SECRET_BYTES))
    return [*keys, SigningKey(private)], public


def _opened(box: SecretBox, stored: str) -> tuple[SigningKey, ...]:
    return read(stored if stored.startswith("whsec_") else box.open(stored))


def _stored(quiet_hours: Any) -> dict[str, str] | None:
    return None if quiet_hours is None else quiet_hours.model_dump(by_alias=True)
