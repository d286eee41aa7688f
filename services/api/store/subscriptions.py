"""Subscriptions beside how their endpoints fare, what was asked of delivery about them, and their deliveries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Select, cast, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.store.configured import SUBSCRIPTION, shown
from services.api.store.cursors import Keys, after
from services.api.store.database import Database, Row
from services.api.store.tables import ATTEMPTS, DELIVERIES, DELIVERY_REQUESTS, ENDPOINTS, SUBSCRIPTIONS

_FARING = ("failing_since", "disabled_at", "why", "agreed_url", "refusal")


class SubscriptionStore:
    """Queries about subscriptions."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def page(self, keys: Keys | None, limit: int) -> Sequence[Row]:
        columns = [(SUBSCRIPTIONS.c.created_at, False), (SUBSCRIPTIONS.c.subscription_id, False)]
        statement = _subscriptions().order_by(*(column for column, _ in columns)).limit(limit)
        if keys is not None:
            statement = statement.where(after(columns, keys))
        return await self.database.rows(statement)

    async def one(self, subscription_id: UUID) -> Row | None:
        return await self.database.row(_subscriptions().where(SUBSCRIPTIONS.c.subscription_id == subscription_id))

    async def read(self, connection: AsyncConnection, subscription_id: UUID) -> Row:
        statement = _subscriptions().where(SUBSCRIPTIONS.c.subscription_id == subscription_id)
        return dict((await connection.execute(statement)).mappings().one())

    async def locked(self, connection: AsyncConnection, subscription_id: UUID) -> Row | None:
        """With its secret, until the end of the transaction."""
        statement = select(SUBSCRIPTIONS).where(
            SUBSCRIPTIONS.c.subscription_id == subscription_id, SUBSCRIPTIONS.c.deleted_at.is_(None)
        )
        row = (await connection.execute(statement.with_for_update())).mappings().first()
        return dict(row) if row is not None else None

    async def change(self, connection: AsyncConnection, subscription_id: UUID, values: Mapping[str, Any]) -> None:
        statement = update(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.subscription_id == subscription_id)
        await connection.execute(statement.values({**values, "updated_at": func.clock_timestamp()}))

    async def ask(self, connection: AsyncConnection, values: Mapping[str, Any]) -> datetime:
        """A request to delivery, and when it was made."""
        statement = insert(DELIVERY_REQUESTS).values(dict(values)).returning(DELIVERY_REQUESTS.c.created_at)
        made_at: datetime = (await connection.execute(statement)).scalar_one()
        return made_at

    async def deliveries(
        self, subscription_id: UUID, keys: Keys | None, limit: int, *, only: Mapping[str, Any]
    ) -> Sequence[Row]:
        """The newest first, with their tries. `only` narrows to values of columns."""
        columns = [(DELIVERIES.c.created_at, True), (DELIVERIES.c.delivery_id, True)]
        statement = select(DELIVERIES, _tries()).where(DELIVERIES.c.subscription_id == subscription_id)
        for name, value in only.items():
            statement = statement.where(DELIVERIES.c[name] == value)
        if keys is not None:
            statement = statement.where(after(columns, keys))
        return await self.database.rows(statement.order_by(*(column.desc() for column, _ in columns)).limit(limit))


def _subscriptions() -> Select[*tuple[Any, ...]]:
    """What was found about an endpoint counts until its subscription is enabled again."""
    fares = (ENDPOINTS.c.subscription_id == SUBSCRIPTIONS.c.subscription_id) & (
        ENDPOINTS.c.enabling == SUBSCRIPTIONS.c.enabling
    )
    joined = SUBSCRIPTIONS.join(ENDPOINTS, fares, isouter=True)
    faring = [ENDPOINTS.c[name] for name in _FARING]
    statement = select(*shown(SUBSCRIPTION), *faring).select_from(joined)
    return statement.where(SUBSCRIPTIONS.c.deleted_at.is_(None))


def _tries() -> Any:
    names = ("attempt", "started_at", "outcome", "status", "latency_seconds")
    fields: list[Any] = []
    for name in names:
        fields += [literal(name), ATTEMPTS.c[name]]
    fields += [literal("answer"), func.encode(ATTEMPTS.c.answer, "base64")]
    one = func.jsonb_build_object(*fields, type_=JSONB)
    tries = select(func.jsonb_agg(aggregate_order_by(one, cast(ATTEMPTS.c.attempt, Integer)))).where(
        ATTEMPTS.c.lead_id == DELIVERIES.c.lead_id, ATTEMPTS.c.delivery_id == DELIVERIES.c.delivery_id
    )
    return tries.scalar_subquery().label("tries")
