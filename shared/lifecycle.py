"""What a service is, to whoever composes it: one process with all of them, or one process each."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.routing import BaseRoute, Route

from shared.clock import Clock
from shared.db.accord_book import AccordBook
from shared.http.issuer import Issuer
from shared.http.tokens import IssuerTokens
from shared.secret_box import NoSecretKey, SecretBox
from shared.source_kinds import SourceKind
from shared.stream.carrier import Carrier
from shared.stream.handler import Handler, Ticker
from shared.stream.metrics import Metrics
from shared.telemetry.spans import Spans


@dataclass(frozen=True)
class Resources:
    """What the composition gives to each service's `wire`. `engine` is the api's; without `spans` none are made;
    `secrets` is there for those that seal or open secrets, if this process was given a key."""

    pool: asyncpg.Pool
    engine: AsyncEngine
    carrier: Carrier
    accords: AccordBook
    registry: CollectorRegistry
    stream_metrics: Metrics
    clock: Clock
    public_url: str
    spans: Spans | None = None
    issuer: Issuer | None = None
    secrets: SecretBox | None = None
    source_kinds: Mapping[str, SourceKind] = field(default_factory=dict)

    @property
    def tokens(self) -> IssuerTokens | None:
        """What checks the issuer's tokens, if one is set."""
        return self.issuer.tokens if self.issuer else None

    @property
    def secret_box(self) -> SecretBox:
        """Raises NoSecretKey when this process was given none."""
        if self.secrets is None:
            raise NoSecretKey
        return self.secrets


@dataclass(frozen=True)
class Service:
    """What a service's `main.wire` returns. A part that is empty means that the service doesn't do that thing.

    `handler` and `ticker` are made once per partition; `direct_routes` are the busiest ones (shared/http/direct.py),
    `bare_routes` shorter ways for some of `routes` without a query;
    `background` are loops that run until they are cancelled; `at_once` says that the handlers' steps are one statement;
    `on_stopping` is called before the process waits for the requests under way, for those that would not end.
    """

    name: str
    handler: Callable[[int], Handler] | None = None
    ticker: Callable[[int], Ticker] | None = None
    routes: Sequence[BaseRoute] = ()
    direct_routes: Sequence[Route] = ()
    bare_routes: Sequence[Route] = ()
    background: Sequence[Callable[[], Awaitable[None]]] = ()
    at_once: bool = False
    is_ready: Callable[[], bool] = lambda: True
    on_stopping: Callable[[], None] = lambda: None
