"""One batch of events to tell: keep each, and add one delivery per subscription that wants it."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from pydantic_core import from_json

from services.delivery.model.messages import body_of, delivery_id, receivers, standing_of
from services.delivery.model.subscriptions import Facts, Subscription
from shared.db.statement import Write
from shared.events.envelope import Outgoing, Record
from shared.events.lifecycle import StageChanged
from shared.stream.carrier import Transaction

# Columns of delivery.events and delivery.deliveries in their order.
EventRow = tuple[UUID, UUID, str, datetime, str]
DeliveryRow = tuple[UUID, UUID, UUID, UUID]


class Nudge:
    """Tells the sender of this process that there is work, and for which subscriptions if that is known."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._named: set[UUID] = set()

    def give(self, subscriptions: Iterable[UUID] = ()) -> None:
        self._named.update(subscriptions)
        self._event.set()

    def take(self) -> set[UUID]:
        """The subscriptions that were named since the last time."""
        named, self._named = self._named, set()
        return named

    async def wait(self, timeout_seconds: float) -> bool:
        """Whether a nudge came within this time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Subscriptions(Protocol):
    """Who wants to be told."""

    async def refresh(self, connection: Any) -> Sequence[Subscription]: ...


class Store(Protocol):
    """What a step needs of the tables."""

    def append_events(self, rows: Sequence[EventRow], partition: int) -> Write: ...

    def add_deliveries(self, rows: Sequence[DeliveryRow]) -> Sequence[Write]: ...

    async def last_of_type(self, connection: Any, event_type: str, leads: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
        """The data of each lead's last event of this type."""


class EventHandler:
    """Implements `Handler`; the same for every partition."""

    def __init__(self, *, store: Store, subscriptions: Subscriptions, nudge: Nudge) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._nudge = nudge

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        connection = transaction.reader
        events: dict[tuple[UUID, UUID], EventRow] = {}
        deliveries: list[DeliveryRow] = []
        told: set[UUID] = set()
        subscriptions = await self._subscriptions.refresh(connection)
        standings = await self._standings(connection, records, subscriptions)
        for record in records:
            event = record.event
            key = (event.key, event.id)
            if key in events:
                continue
            events[key] = (*key, event.type, event.received_at, body_of(event, record.emitter))
            if standings is not None and event.type == StageChanged.TYPE:
                standings[event.key] = standing_of(from_json(event.value))
            for receiver in receivers(event, subscriptions, (standings or {}).get(event.key, {})):
                subscription_id = receiver.subscription_id
                told.add(subscription_id)
                deliveries.append((event.key, delivery_id(event.id, subscription_id), subscription_id, event.id))
        if events:
            transaction.add(self._store.append_events(list(events.values()), records[0].partition))
        if deliveries:
            transaction.add(*self._store.add_deliveries(deliveries))
            transaction.on_commit(partial(self._nudge.give, told))
        return ()

    async def _standings(
        self, connection: Any, records: Sequence[Record], subscriptions: Sequence[Subscription]
    ) -> dict[UUID, Facts] | None:
        """How these leads stood before; None when no subscription has a condition that could ask."""
        if all(subscription.condition is None for subscription in subscriptions):
            return None
        changes = await self._store.last_of_type(connection, StageChanged.TYPE, {r.event.key for r in records})
        return {lead_id: standing_of(data) for lead_id, data in changes.items()}
