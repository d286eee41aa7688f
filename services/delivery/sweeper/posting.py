"""Posts one delivery over HTTP, to addresses that may be called only. What a receiver does wrong is an outcome."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from services.delivery import store
from services.delivery.model.attempts import Outcome, Try, outcome_of, retry_after
from services.delivery.model.messages import Subscription
from services.delivery.model.signatures import InvalidSecret, headers
from services.delivery.model.targets import Network, is_allowed
from services.delivery.settings import Settings
from shared.clock import Clock
from shared.telemetry.tracing import valid_traceparent

ANSWER_BYTES_MAX: Final = 1024
HEADERS_MAX_BYTES: Final = 16_384
USER_AGENT: Final = "Accord-Webhooks/1.0"
FORBIDDEN: Final = "address is not allowed"


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
async def session(settings: Settings) -> AsyncIterator[aiohttp.ClientSession]:
    """No cookies, no proxy from the environment, no bound of its own on connections: the sender bounds them."""
    connector = aiohttp.TCPConnector(limit=0, socket_factory=guarded_socket_factory(settings.networks))
    timeout = aiohttp.ClientTimeout(total=settings.timeout_seconds, connect=settings.connect_timeout_seconds)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"user-agent": USER_AGENT, "content-type": "application/cloudevents+json"},
        max_field_size=HEADERS_MAX_BYTES,
    ) as client:
        yield client


class HttpPost:
    """Implements `Post`."""

    def __init__(self, client: aiohttp.ClientSession, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def __call__(self, subscription: Subscription, delivery: store.Claimed) -> Try:
        started_at = self._clock.now()
        body = delivery.body.encode()
        began = asyncio.get_running_loop().time()

        def tried(outcome: Outcome, **answer: Any) -> Try:
            return Try(outcome, started_at, asyncio.get_running_loop().time() - began, **answer)

        try:
            sent = headers(str(delivery.delivery_id), int(started_at.timestamp()), body, subscription.secrets)
            # Foreign producers may have put anything into theirs.
            if traceparent := valid_traceparent(delivery.traceparent):
                sent["traceparent"] = traceparent
            async with self._client.post(subscription.url, data=body, headers=sent, allow_redirects=False) as response:
                answer = await response.content.read(ANSWER_BYTES_MAX)
                wait = retry_after(response.headers.get("retry-after"), started_at)
                return tried(outcome_of(response.status), status=response.status, answer=answer, retry_after=wait)
        except TimeoutError:
            return tried(Outcome.TIMED_OUT)
        except (InvalidSecret, aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            return tried(Outcome.INVALID_SUBSCRIPTION)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            is_forbidden = FORBIDDEN in str(error)
            return tried(Outcome.FORBIDDEN_ADDRESS if is_forbidden else Outcome.UNREACHABLE)
