"""Subscriptions: made and listed. Their secrets are shown once."""

import base64
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
from services.api.schemas.subscriptions import CreatedSubscription, Subscription, SubscriptionBody
from services.api.store.configured import SUBSCRIPTION
from shared.agreement.condition_parsing import InvalidCondition, parse_condition
from shared.clock import new_id
from shared.http.problems import FieldError, Problem


class SubscriptionRoutes:
    """Receivers of events."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def register(self, to: Registrar) -> None:
        to.add(
            "GET /v1/subscriptions", self.list_subscriptions, summary="Receivers of events", answer=Page[Subscription]
        )
        to.add(
            "POST /v1/subscriptions",
            self.create_subscription,
            summary="A new receiver",
            answer=CreatedSubscription,
            body=SubscriptionBody,
            status=201,
        )

    async def create_subscription(self, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        body, raw = await read_body(request, SubscriptionBody, self._parts)
        _check_condition(body.condition)
        secret = body.secret or "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()

        async def create(connection: AsyncConnection) -> Created:
            values = {**body.model_dump(), "subscription_id": new_id(), "secret": secret}
            row = await self._parts.configured.add(connection, SUBSCRIPTION, values)
            return created(Subscription, renamed(row, "subscription_id"), {"secret": secret})

        return await create_once(self._parts, idempotent_call(self._parts, request, raw, idempotency_key), create)

    async def list_subscriptions(self, limit: Limit = 50, cursor: Cursor = None) -> Page[Subscription]:
        rows, following = await page_of(self._parts, SUBSCRIPTION, UUID, limit, cursor)
        return Page(items=[Subscription(**renamed(row, "subscription_id")) for row in rows], next=following)


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
