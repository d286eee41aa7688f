"""`POST /segment/v1/{track,identify,page,…}`: Segment's HTTP Tracking API, as its SDKs and RudderStack's send it. Every
answer is one that they can read: `{"success": true}`, or `{"code", "message"}`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from services.ingest.handler.intake import Limits
from services.ingest.routes.hooks import Parts, Told, headers_of, sent_of
from services.ingest.routes.plain_route import PlainRoute
from services.ingest.routes.receiving import body_of, declared_size
from services.ingest.vendors import segment
from services.ingest.vendors.vendor import Refusal, RefusalReason, Reply, Sent
from shared.http.problems import Problem, problem_of
from shared.http.trace import traceparent_of

CALLS: Final = (*segment.CALLS, *segment.BATCHES)
CODES: Final = {413: "payload_too_large", 415: "unsupported_encoding", 422: "invalid_json", 429: "too_many_requests"}
# What its SDKs take for "never again with this body": a client that is told 413 or 422 may try for ever.
STATUSES: Final = {413: 400, 415: 400, 422: 400}

DESCRIPTION: Final[dict[str, Any]] = {
    "tags": ["segment"],
    "responses": {
        200: {"description": 'Durable. `{"success": true}`'},
        400: {"description": 'Too large, malformed, or nothing in it could be used. `{"code", "message"}`'},
        401: {"description": "No such write key"},
        429: {"description": "Too many requests"},
        503: {"description": "Nothing durable can be reached"},
    },
    "openapi_extra": {
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
    },
}


class SegmentRoutes:
    """The dependencies of the routes, given by `main`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        settings = parts.settings
        self._limits = Limits(settings.event_bytes_max, settings.segment_batch_events_max, settings.kept_body_bytes_max)

    def routes(self) -> Sequence[APIRoute]:
        return [
            PlainRoute(
                f"/segment/v1/{call}",
                readable(self.post),
                methods=["POST"],
                name=f"segment_{call}",
                summary=f"Segment's `{call}`",
                **DESCRIPTION,
            )
            for call in CALLS
        ]

    async def post(self, request: Request) -> Response:
        """200 once everything that could be used is durable."""
        limit = self._parts.settings.segment_body_bytes_max
        headers = headers_of(request)
        size = declared_size(headers, limit)
        self._parts.room.take(size)
        try:
            body = await body_of(request, headers, bytes_max=limit, on_limit=self._parts.at_limit)
            return Told(await self._take(sent_of(request, headers, body, self._parts), request))
        finally:
            self._parts.room.give_back(size)

    async def _take(self, sent: Sent, request: Request) -> Reply:
        key = segment.write_key(sent)
        config = await self._parts.book.with_secret(segment.KIND, key) if key is not None else None
        if config is None:
            reason = RefusalReason.UNPROVEN if key is None else RefusalReason.FORGED
            return segment.refuse(Refusal(reason, "This is not the write key of any source."), sent)
        self._parts.rate.require(str(config.id))
        return await self._parts.intake.take(sent, config, self._limits, traceparent_of(request.scope))


def readable(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint with every problem told the way that Segment's SDKs read it."""

    async def told(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            return _told(problem)

    return told


def _told(problem: Problem) -> Response:
    code = CODES.get(problem.status, "unavailable")
    body = to_json({"code": code, "message": problem.detail or problem.title})
    status = STATUSES.get(problem.status, problem.status)
    return Response(body, status, problem.headers, "application/json")
