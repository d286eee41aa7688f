"""A sales tool's webhook endpoint: verifies each signature as any receiver would, and keeps what it was about. Beside
it an incoming webhook as chat has: it shows what people would read."""

import base64
import secrets
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.demo.settings import HOST

log = structlog.get_logger(component="demo")

QUALIFIED = "accord.lead.qualified"
CLOCK = "accord.clock."


class Receiver:
    """Listens on a free port. `on_event` gets each verified event once, however often it was delivered."""

    def __init__(
        self, on_event: Callable[[dict[str, Any]], None], on_chat: Callable[[str], None] = lambda text: None
    ) -> None:
        self.secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
        self.url = ""
        self.chat_url = ""
        self.failed = 0
        self._webhook = Webhook(self.secret)
        self._on_event = on_event
        self._on_chat = on_chat
        self._seen: set[str] = set()
        self._about: defaultdict[str, set[str]] = defaultdict(set)
        app = web.Application(client_max_size=256 * 1024)
        app.router.add_post("/accord", self._receive)
        app.router.add_post("/chat", self._chat)
        self._runner = web.AppRunner(app, access_log=None)

    @property
    def delivered(self) -> int:
        """Verified deliveries, each event counted once."""
        return len(self._seen)

    @property
    def qualified(self) -> int:
        return len(self._about[QUALIFIED])

    @property
    def met(self) -> int:
        return len(self._about[f"{CLOCK}met"])

    @property
    def breached(self) -> int:
        """Breaches that were not taken back."""
        return len(self._about[f"{CLOCK}breached"] - self._about[f"{CLOCK}voided"])

    async def __aenter__(self) -> "Receiver":
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        port = self._runner.addresses[0][1]
        self.url, self.chat_url = f"http://{HOST}:{port}/accord", f"http://{HOST}:{port}/chat"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _chat(self, request: web.Request) -> web.Response:
        self._on_chat((await request.json())["text"])
        return web.Response(text="ok")

    async def _receive(self, request: web.Request) -> web.Response:
        try:
            event = self._webhook.verify(await request.read(), dict(request.headers))
        except WebhookVerificationError:
            self.failed += 1
            log.warning("signature_refused")
            return web.Response(status=401)
        webhook_id = request.headers["webhook-id"]
        if webhook_id not in self._seen:
            self._seen.add(webhook_id)
            kind = event["type"]
            self._about[kind].add(event["data"]["clock_id"] if kind.startswith(CLOCK) else event["subject"])
            self._on_event(event)
        return web.Response(status=204)
