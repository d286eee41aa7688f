"""`/v1/hooks/{source_id}`: what vendors send, in their own formats and signed their own ways.

As bare as `/v1/events`: FastAPI describes it, and doesn't stand between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from services.ingest.handler.intake import Intake, Limits
from services.ingest.metrics import Metrics
from services.ingest.routes.plain_route import PlainRoute
from services.ingest.routes.receiving import Room, body_of, declared_size
from services.ingest.settings import IngestSettings
from services.ingest.sources import ConfiguredBook
from services.ingest.vendors.registry import VENDORS
from services.ingest.vendors.vendor import RefusalReason, Reply, Sent, SourceConfig, Vendor
from shared.clock import Clock
from shared.http.limits import RateLimiter
from shared.http.openapi import refusals
from shared.http.problems import Problem
from shared.http.trace import traceparent_of

PATH: Final = "/v1/hooks/{source_id}"
METHODS: Final = ("POST", "PUT", "PATCH", "GET", "HEAD", "OPTIONS")
HANDSHAKES: Final = ("GET", "HEAD", "OPTIONS")
QUERY_FIELDS_MAX: Final = 100

# Problem documents, but for kinds whose senders read refusals of their own (Segment's SDKs do).
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {**refusal, "content": {**refusal["content"], "application/json": {"schema": {"type": "object"}}}}
    for status, refusal in refusals(401, 403, 413, 415, 422, 429, 503).items()
}

DESCRIPTION: Final[dict[str, Any]] = {
    "summary": "What a configured source sends, in its own format and signed its own way",
    "tags": ["hooks"],
    "responses": {
        200: {"description": "As this source's kind expects for success; what it says is durable."},
        404: {"description": "No such source"},
        **_REFUSALS,
    },
    "openapi_extra": {"requestBody": {"content": {"*/*": {}}}},
}


@dataclass(frozen=True)
class Parts:
    """What the routes of sources work with; `main` puts it together. `rate` counts by the source's id, whichever of its
    routes it uses."""

    book: ConfiguredBook
    intake: Intake
    room: Room
    rate: RateLimiter
    settings: IngestSettings
    metrics: Metrics
    clock: Clock
    public_url: str

    def at_limit(self, limit: str) -> None:
        self.metrics.limit_reached.labels(limit).inc()


class HooksRoute:
    """The dependencies of the route, given by `main`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        settings = parts.settings
        self._limits = Limits(settings.event_bytes_max, settings.batch_events_max, settings.kept_body_bytes_max)

    def routes(self) -> Sequence[APIRoute]:
        """One entry of the document per method that changes something; the others are handshakes."""
        described = PlainRoute(PATH, self.answer, methods=["POST"], name="post_hook", **DESCRIPTION)
        others = [method for method in METHODS if method != "POST"]
        return described, PlainRoute(PATH, self.answer, methods=others, name="hook_handshake", include_in_schema=False)

    async def answer(self, request: Request) -> Response:
        """Whatever this source's kind answers. 404 without a source, and no word more."""
        source_id: str = request.scope["path_params"]["source_id"]
        config = await self._parts.book.get(source_id)
        if config is None:
            raise Problem(404, "Not found", "There is no such source.")
        self._parts.rate.require(source_id)
        vendor = VENDORS[config.kind]
        method: str = request.scope["method"]
        headers = headers_of(request)
        if method in HANDSHAKES:
            return Told(_shaken(sent_of(request, headers, b"", self._parts), config, vendor))
        if method not in vendor.methods:
            raise _not_allowed(vendor)
        limit = self._parts.settings.body_bytes_max
        size = declared_size(headers, limit)
        self._parts.room.take(size)
        try:
            body = await body_of(request, headers, bytes_max=limit, on_limit=self._parts.at_limit)
            return Told(await self._take(sent_of(request, headers, body, self._parts), config, request))
        finally:
            self._parts.room.give_back(size)

    async def _take(self, sent: Sent, config: SourceConfig, request: Request) -> Reply:
        vendor = VENDORS[config.kind]
        if (reply := vendor.handshake(sent, config)) is not None:
            return reply
        refusal = vendor.verify(sent, config)
        if refusal is not None and refusal.reason is RefusalReason.FORGED:
            # Its secret may have been rotated since this process last looked.
            newer = await self._parts.book.newer(config)
            if newer is not None:
                config, refusal = newer, vendor.verify(sent, newer)
        if refusal is not None:
            self._parts.intake.refuse(config, refusal, sent.received_at)
            return vendor.refuse(refusal, sent)
        traceparent = traceparent_of(request.scope) if "traceparent" in sent.headers else None
        return await self._parts.intake.take(sent, config, self._limits, traceparent)


def headers_of(request: Request) -> dict[str, str]:
    """Of a header that is given twice the last; uvicorn gives names in lower case."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}


def sent_of(request: Request, headers: Mapping[str, str], body: bytes, parts: Parts) -> Sent:
    """The request as vendors' functions see it: its address is the public one, whatever a proxy made of it."""
    scope = request.scope
    url = parts.public_url + scope["raw_path"].decode("latin-1")
    query: Mapping[str, str] = {}
    if scope["query_string"]:
        text = scope["query_string"].decode("latin-1")
        url = f"{url}?{text}"
        query = _query(text)
    return Sent(scope["method"], url, scope["path"], headers, query, body, parts.clock.now())


def _query(text: str) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX))
    except ValueError:
        raise Problem(422, "Invalid input", f"At most {QUERY_FIELDS_MAX} query parameters.") from None


def _shaken(sent: Sent, config: SourceConfig, vendor: Vendor) -> Reply:
    reply = vendor.handshake(sent, config)
    if reply is None:
        raise _not_allowed(vendor)
    return reply


def _not_allowed(vendor: Vendor) -> Problem:
    allowed = ", ".join(sorted(vendor.methods))
    return Problem(405, "Method not allowed", f"Allowed: {allowed}.", headers={"Allow": allowed})


class Told(Response):
    """A reply as an answer, without what Starlette's own would work out for it."""

    def __init__(self, reply: Reply) -> None:
        self.status_code = reply.status
        self.background = None
        self.body = reply.body
        self.raw_headers = [(b"content-length", b"%d" % len(reply.body))]
        if reply.media_type is not None:
            self.raw_headers.append((b"content-type", reply.media_type.encode("latin-1")))
        for name, value in reply.headers.items():
            self.raw_headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))
