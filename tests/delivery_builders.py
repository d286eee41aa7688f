"""A delivery desk without a runner, and local HTTP receivers that check what they get."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import standardwebhooks
from aiohttp import web
from builders import lead_in
from line_builders import open_step
from sla_builders import NAMES, stage_changed

from services.delivery.handler import EventHandler, Nudge
from services.delivery.metrics import Metrics
from services.delivery.store import events
from services.delivery.store.subscriptions import SubscriptionBook
from services.delivery.sweeper.sender import Sender
from shared.clock import ManualClock
from shared.events import codec
from shared.events.base import Payload
from shared.events.envelope import Record
from shared.events.topics import LIFECYCLE

LEAD = lead_in(0)
SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
LOOPBACK = "127.0.0.0/8"


@dataclass
class Received:
    """What a receiver got, verified with the reference implementation."""

    event: dict[str, Any]
    headers: dict[str, str]
    body: bytes


def verified(body: bytes, sent: dict[str, str]) -> dict[str, Any]:
    """As `verify` of the reference implementation does, but for its look at the wall clock: tests move theirs."""
    at = datetime.fromtimestamp(int(sent["webhook-timestamp"]), UTC)
    assert sent["webhook-signature"] == standardwebhooks.Webhook(SECRET).sign(sent["webhook-id"], at, body.decode())
    event: dict[str, Any] = json.loads(body)
    return event


@dataclass
class Receiver:
    """A local HTTP server that answers with `statuses` in turn, then 200; `block` holds its answers back."""

    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    block: asyncio.Event | None = None
    asked: int = 0
    url: str = ""
    secret: str | None = SECRET  # None: it takes what it gets, as one that does not verify

    async def answer(self, request: web.Request) -> web.Response:
        body, sent = await request.read(), {name.lower(): value for name, value in request.headers.items()}
        self.asked += 1
        if self.block is not None:
            await self.block.wait()
        event = json.loads(body) if self.secret is None else verified(body, sent)
        self.received.append(Received(event, sent, body))
        status, headers = self.statuses.pop(0) if self.statuses else (200, {})
        return web.Response(status=status, headers=headers, body=b"x" * 5000)

    def names(self) -> list[str]:
        return [got.event["data"]["reason"] for got in self.received]


@asynccontextmanager
async def listening(receiver: Receiver) -> AsyncIterator[Receiver]:
    application = web.Application()
    application.router.add_post("/hook", receiver.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        if receiver.block is not None:
            receiver.block.set()
        await runner.cleanup()


@dataclass
class Desk:
    """delivery without a runner: the test decides what happens when. The clock runs ahead of events by a second."""

    pool: asyncpg.Pool
    clock: ManualClock
    sender: Sender
    metrics: Metrics
    nudge: Nudge
    number: int = 0

    async def subscribe(self, url: str, *, types: tuple[str, ...] = ("*",), condition: str | None = None) -> UUID:
        self.number += 1
        subscription_id = uuid5(NAMES, f"subscription {self.number}")
        await self.pool.execute(
            """INSERT INTO api.subscriptions (subscription_id, name, url, types, condition, secret)
            VALUES ($1, 'test', $2, $3, ($4::text)::jsonb, $5)""",
            subscription_id,
            url,
            list(types),
            condition,
            SECRET,
        )
        return subscription_id

    def record(self, reason: str, *, lead: UUID = LEAD, kind: Callable[..., Payload] = stage_changed) -> Record:
        self.number += 1
        at = self.clock.now() - timedelta(seconds=1)
        payload = kind(at, lead_id=lead, reason=reason)
        event = codec.event(payload, id=uuid5(NAMES, reason), time=at, received_at=at, accord=1)
        return Record(LIFECYCLE, 0, self.number, "stages/0", self.number, event)

    async def handle(self, *records: Record) -> None:
        handler = EventHandler(store=events, subscriptions=SubscriptionBook(), nudge=self.nudge)
        async with open_step(self.pool) as transaction:
            await handler.handle(transaction, records)

    async def sends(self) -> int:
        """One look for work, with all that it starts ended."""
        started = await self.sender.turn()
        await self.sender.drain(10)
        return started

    async def deliveries(self) -> list[tuple[str, int, int | None]]:
        rows = await self.pool.fetch(
            "SELECT state, attempts, status FROM delivery.published_deliveries ORDER BY created_at, delivery_id"
        )
        return [tuple(row) for row in rows]
