"""Posts over HTTP, to addresses that may be called only. What a receiver does wrong is an outcome."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from time import monotonic
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver

from services.delivery.model.attempts import Outcome, Try, outcome_of, retry_after
from services.delivery.model.subscriptions import Subscription
from services.delivery.model.targets import Network, is_allowed
from services.delivery.settings import Settings
from services.delivery.store.claims import Claimed
from services.delivery.sweeper.deadlines import Deadlines
from services.delivery.sweeper.signer import Message, Signer
from shared.webhook_secrets import InvalidSecret

ANSWER_BYTES_MAX: Final = 1024
ANSWER_SECONDS_MAX: Final = 1.0  # once the status is there
HEADERS_MAX_BYTES: Final = 16_384
DNS_SECONDS: Final = 10
USER_AGENT: Final = "Accord-Webhooks/1.0"
FORBIDDEN: Final = "address is not allowed"
FAULTS: Final = (TimeoutError, aiohttp.ClientError, OSError, ValueError)


class ForbiddenAddress(OSError):
    """The address is private, loopback or link-local, and its network is not listed."""


def guarded_socket_factory(networks: tuple[Network, ...]) -> Any:
    """Makes the connector's sockets, after DNS: literals, answers and rebinding alike come by here."""

    def make(address: Any) -> socket.socket:
        family, kind, protocol, _, where = address
        if not is_allowed(where[0], networks):
            raise ForbiddenAddress(errno.EACCES, FORBIDDEN)
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return make


@asynccontextmanager
async def session(settings: Settings, resolver: AbstractResolver | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    """No cookies, no proxy from the environment, no bound of its own on connections: the sender bounds them."""
    guard = guarded_socket_factory(settings.networks)
    connector = aiohttp.TCPConnector(limit=0, socket_factory=guard, resolver=resolver, ttl_dns_cache=DNS_SECONDS)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        headers={"user-agent": USER_AGENT, "accept-encoding": "identity"},
        max_field_size=HEADERS_MAX_BYTES,
    ) as client:
        yield client


class HttpPost:
    """Implements `Post`; `send` posts any message the same way."""

    def __init__(self, client: aiohttp.ClientSession, settings: Settings, signer: Signer) -> None:
        self._client = client
        self._signer = signer
        self._deadlines = Deadlines()
        self._seconds = settings.timeout_seconds
        self._connecting = aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout_seconds)

    async def __call__(self, subscription: Subscription, delivery: Claimed, now: datetime) -> Try:
        if not delivery.body:  # older than the retention
            return Try(Outcome.EXPIRED, now, 0.0)
        try:
            message = self._signer.message(subscription, delivery, now)
        except InvalidSecret:
            return Try(Outcome.INVALID_SUBSCRIPTION, now, 0.0)
        return await self.send(subscription, message, now=now)

    async def send(self, subscription: Subscription, message: Message, *, now: datetime, url: str | None = None) -> Try:
        """Posts to the subscription's address, or to one below it."""
        began = monotonic()
        seconds = subscription.timeout_seconds or self._seconds
        try:
            posting = self._client.post(
                url or subscription.url,
                data=aiohttp.BytesPayload(message.body),
                headers=message.headers,
                allow_redirects=False,
                timeout=self._connecting,
            )
            response = await self._deadlines.within(seconds, posting)
            answer, outcome, wait = await _beginning(response), outcome_of(response.status), None
            if outcome is Outcome.ASKED_TO_WAIT:
                wait = retry_after(response.headers.get("retry-after"), now)
            return Try(outcome, now, monotonic() - began, response.status, answer, wait)
        except FAULTS as error:
            return Try(outcome_of_fault(error), now, monotonic() - began)

    async def ask(self, subscription: Subscription, headers: Mapping[str, str]) -> Mapping[str, str] | Outcome:
        """The headers of its answer to OPTIONS, or why there is none."""
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.options(
                    subscription.url, headers=headers, allow_redirects=False, timeout=self._connecting
                ) as response,
            ):
                return response.headers
        except FAULTS as error:
            return outcome_of_fault(error)


def outcome_of_fault(error: BaseException) -> Outcome:
    """What it means that no answer came."""
    if isinstance(error, TimeoutError):
        return Outcome.TIMED_OUT
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return Outcome.INVALID_SUBSCRIPTION
    return Outcome.FORBIDDEN_ADDRESS if FORBIDDEN in str(error) else Outcome.UNREACHABLE


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """As much of the answer as is kept and comes soon: the status has said what counts. A connection with more on it is
    closed."""
    if response.closed:  # most answers have come whole with their status
        return response.content.read_nowait(ANSWER_BYTES_MAX)
    answer = b""
    try:
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                while len(answer) < ANSWER_BYTES_MAX:
                    if not (chunk := await response.content.read(ANSWER_BYTES_MAX - len(answer))):
                        break
                    answer += chunk
    finally:
        response.release()
    return answer
