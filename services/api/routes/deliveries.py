"""What became of deliveries, and requests to tell something again or to try an endpoint: delivery carries them out."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.routes.bodies import read_body
from services.api.routes.idempotency import Created, create_once, idempotent_call
from services.api.routes.parts import Cursor, IdempotencyKey, Limit, Parts, Registrar, keys_of
from services.api.routes.subscriptions import no_such_subscription, shown
from services.api.schemas.lists import Page
from services.api.schemas.subscriptions import Attempt, Delivery, ReplayBody, Requested, TestBody
from services.api.store.cursors import encode_cursor
from services.api.store.subscriptions import SubscriptionStore
from shared.clock import new_id
from shared.events.envelope import derived_id
from shared.http.openapi import refusals
from shared.http.problems import Problem

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
Kind = Literal["replay", "test"]
DeliveryState = Annotated[Literal["pending", "delivered", "dead"] | None, Query()]


class DeliveryRoutes:
    """The log of one subscription."""

    def __init__(self, parts: Parts, store: SubscriptionStore) -> None:
        self._parts = parts
        self._store = store

    def register(self, to: Registrar) -> None:
        one = "/v1/subscriptions/{subscription_id}"
        summary = "What was told, try by try, the newest first"
        to.add(f"GET {one}/deliveries", self.list_deliveries, summary=summary, answer=Page[Delivery])
        unsent = refusals(409)
        summary = "Tell again what was received in a time, or some events"
        to.add(
            f"POST {one}/replays",
            self.replay,
            summary=summary,
            answer=Requested,
            body=ReplayBody,
            status=202,
            also=unsent,
        )
        summary = "Send an event that says it is a test"
        to.add(f"POST {one}/test", self.test, summary=summary, answer=Requested, body=TestBody, status=202, also=unsent)

    async def list_deliveries(
        self,
        subscription_id: UUID,
        state: DeliveryState = None,
        event_id: UUID | None = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Page[Delivery]:
        if await self._store.one(subscription_id) is None:
            raise no_such_subscription()
        kind = f"deliveries/{subscription_id}"
        keys = keys_of(cursor, kind, (datetime, UUID))
        only = {name: value for name, value in (("state", state), ("event_id", event_id)) if value is not None}
        rows = await self._store.deliveries(subscription_id, keys, limit + 1, only=only)
        following = None
        if len(rows) > limit:
            following = encode_cursor(kind, [rows[limit - 1][name] for name in ("created_at", "delivery_id")])
        return Page(items=[_delivery(row) for row in rows[:limit]], next=following)

    async def replay(
        self, subscription_id: UUID, request: Request, idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        body, raw = await read_body(request, ReplayBody, self._parts)
        now = self._parts.clock.now()
        wanted: dict[str, Any] = {"event_ids": body.ids}
        if body.ids is None:
            # What comes from now on is told anyway.
            wanted |= {"since": max(body.from_ or BEGINNING, BEGINNING), "until": min(body.to or now, now)}
            wanted["until"] = max(wanted["until"], wanted["since"] + timedelta(microseconds=1))
        call = idempotent_call(self._parts, request, raw, idempotency_key)

        async def ask(connection: AsyncConnection) -> Created:
            return await self._ask(connection, subscription_id, "replay", wanted)

        return await create_once(self._parts, call, ask, status=202)

    async def test(
        self, subscription_id: UUID, request: Request, idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        _, raw = await read_body(request, TestBody, self._parts, is_optional=True)
        call = idempotent_call(self._parts, request, raw, idempotency_key)

        async def ask(connection: AsyncConnection) -> Created:
            return await self._ask(connection, subscription_id, "test", {})

        return await create_once(self._parts, call, ask, status=202)

    async def _ask(
        self,
        connection: AsyncConnection,
        subscription_id: UUID,
        kind: Kind,
        more: Mapping[str, Any],
    ) -> Created:
        if await self._store.locked(connection, subscription_id) is None:
            raise no_such_subscription()
        state = shown(await self._store.read(connection, subscription_id))["state"]
        if state == "disabled" or (kind == "test" and state != "active"):
            raise Problem(409, "Nothing would be sent", f"The subscription is {state}.")
        request_id = new_id()
        values = {"request_id": request_id, "subscription_id": subscription_id, "kind": kind, **more}
        made_at = await self._store.ask(connection, values)
        delivery = derived_id(request_id, str(subscription_id)) if kind == "test" else None
        asked = Requested(id=request_id, kind=kind, delivery_id=delivery, created_at=made_at)
        return Created(asked.model_dump(mode="json"), {})


def _delivery(row: Mapping[str, Any]) -> Delivery:
    names = ("event_id", "lead_id", "type", "state", "outcome", "status", "latency_seconds")
    times = ("created_at", "next_attempt_at", "delivered_at")
    tries = [
        Attempt(**{**tried, "answer": base64.b64decode(tried["answer"]).decode(errors="replace")})
        for tried in row["tries"] or []
    ]
    return Delivery(id=row["delivery_id"], attempts=tries, **{name: row[name] for name in (*names, *times)})
