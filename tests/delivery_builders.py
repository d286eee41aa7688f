"""A delivery desk without a runner, and local HTTP receivers that check what they get."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import standardwebhooks
from aiohttp import web
from api_builders import SECRET_KEY
from builders import lead_in
from line_builders import open_step
from prometheus_client import CollectorRegistry
from sla_builders import NAMES, stage_changed

from services.delivery.handler import EventHandler, Nudge
from services.delivery.metrics import Metrics
from services.delivery.settings import Settings
from services.delivery.store import events
from services.delivery.store.subscriptions import SubscriptionBook
from services.delivery.sweeper.channels import Channels
from services.delivery.sweeper.handshakes import Handshakes
from services.delivery.sweeper.mailing import Mailer
from services.delivery.sweeper.posting import HttpPost, session
from services.delivery.sweeper.requests import Requests
from services.delivery.sweeper.sender import Sender
from services.delivery.sweeper.signer import Signer
from shared.clock import ManualClock, SystemClock
from shared.events import codec
from shared.events.base import LeadSnapshot, Payload
from shared.events.envelope import Record
from shared.events.sla import ClockEvent
from shared.events.topics import LIFECYCLE
from shared.secret_box import SecretBox

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
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""
    secret: str | None = SECRET  # None: it takes what it gets, as one that does not verify

    async def answer(self, request: web.Request) -> web.Response:
        body, sent = await request.read(), {name.lower(): value for name, value in request.headers.items()}
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.block is not None:
                await self.block.wait()
        finally:
            self.at_once -= 1
        event = json.loads(body) if self.secret is None else verified(body, sent)
        self.received.append(Received(event, sent, body))
        status, headers = self.statuses.pop(0) if self.statuses else (200, {})
        return web.Response(status=status, headers=headers, body=b"x" * 5000)

    def names(self) -> list[str]:
        return [got.event["data"]["reason"] for got in self.received]


@asynccontextmanager
async def listening(receiver: Receiver, *, options: Any = None) -> AsyncIterator[Receiver]:
    """`options` answers that method."""
    application = web.Application()
    application.router.add_post("/{path:.*}", receiver.answer)
    if options is not None:
        application.router.add_options("/hook", options)
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


ORIGIN = "accord.example"
OpenDesk = Callable[..., Awaitable["Desk"]]


@asynccontextmanager
async def desks(pool: asyncpg.Pool) -> AsyncIterator[OpenDesk]:
    """Makes desks, and ends what they have begun."""
    async with AsyncExitStack() as stack:

        async def make(allowed: str = LOOPBACK, resolver: Any = None, **settings: Any) -> Desk:
            settings_ = Settings(allowed_networks=allowed, **settings)
            clock, metrics, nudge = ManualClock(SystemClock().now()), Metrics(CollectorRegistry()), Nudge()
            signer = Signer(ORIGIN)
            post = HttpPost(await stack.enter_async_context(session(settings_, resolver)), settings_, signer)
            book = SubscriptionBook(SecretBox(SECRET_KEY))
            common: dict[str, Any] = {"pool": pool, "clock": clock, "metrics": metrics, "book": book}
            sender = Sender(post=post, signer=signer, roll=lambda: 0.0, nudge=nudge, settings=settings_, **common)
            stack.push_async_callback(sender.drain, 1)
            channels = Channels(
                post=post,
                mails=Mailer(settings_, clock),
                roll=lambda: 0.0,
                settings=settings_,
                public_url="https://accord.example",
                **common,
            )
            requests = Requests(nudge=nudge, **common)
            handshakes = Handshakes(pool=pool, post=post, clock=clock, book=book, origin=ORIGIN)
            return Desk(pool, clock, sender, metrics, nudge, channels, requests, handshakes)

        yield make


def clock_event(kind: type[ClockEvent], at: datetime, *, lead_id: UUID = LEAD, reason: str = "") -> ClockEvent:
    """What is announced of one clock of this lead; a breach an hour before now."""
    return kind(
        lead_id=lead_id,
        clock_id=uuid5(NAMES, "clock"),
        rule="first-contact",
        accord=1,
        entry=1,
        started_at=at - timedelta(hours=2),
        deadline=at - timedelta(hours=1),
        occurred_at=at,
        elapsed_seconds=3_600.0,
        owner="ada@sales.example",
        lead=LeadSnapshot(email="ann@example.com"),
    )


@dataclass
class Desk:
    """delivery without a runner: the test decides what happens when. The clock runs ahead of events by a second."""

    pool: asyncpg.Pool
    clock: ManualClock
    sender: Sender
    metrics: Metrics
    nudge: Nudge
    channels: Channels
    requests: Requests
    handshakes: Handshakes
    number: int = 0

    async def subscribe(
        self, url: str, *, types: tuple[str, ...] = ("*",), condition: str | None = None, **more: Any
    ) -> UUID:
        """`more` are columns of api.subscriptions."""
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
        for name, value in more.items():
            await self.pool.execute(
                f"UPDATE api.subscriptions SET {name} = $2 WHERE subscription_id = $1", subscription_id, value
            )
        return subscription_id

    async def request(self, subscription_id: UUID, kind: str, **more: Any) -> UUID:
        """What the api would put on file; `more` are columns."""
        self.number += 1
        request_id = uuid5(NAMES, f"request {self.number}")
        values = {"request_id": request_id, "subscription_id": subscription_id, "kind": kind, **more}
        values["created_at"] = self.clock.now()
        places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
        await self.pool.execute(
            f"INSERT INTO api.delivery_requests ({', '.join(values)}) VALUES ({places})", *values.values()
        )
        while await self.requests.turn():
            pass
        return request_id

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
