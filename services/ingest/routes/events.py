"""`POST /v1/events`: authenticate, read, judge each event on its own, commit the good ones together, answer.

This is the busiest path of the house: FastAPI describes it, and doesn't stand between.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from services.ingest.handler.commits import Outcome, Submission
from services.ingest.metrics import Metrics
from services.ingest.model import Fault, Oversized, Posted, Refused, read_json
from services.ingest.routes.plain_route import PlainRoute
from services.ingest.routes.receiving import Room, declared_size
from services.ingest.schemas import Answer, CloudEvent, PostedEvent, PostedEvents, Rejection
from services.ingest.settings import IngestSettings
from services.ingest.sources import SourceBook
from services.ingest.vendors import cloudevents, plain
from services.ingest.vendors.bodies import text_of
from services.ingest.vendors.plain import Reading
from shared.clock import Clock
from shared.errors import Unavailable
from shared.http.auth import KeyRing, Principal
from shared.http.limits import RateLimiter, read_body, require_uncompressed
from shared.http.openapi import body_schema, refusals
from shared.http.problems import FieldError, Problem
from shared.http.trace import traceparent_of
from shared.stream.lane import LanePublisher

SCOPE = "events:write"
PLAIN = "application/json"
MEDIA_TYPES = (PLAIN, cloudevents.STRUCTURED, cloudevents.BATCH)
REJECTED_EVENTS_LISTED_MAX = 1_000

DESCRIPTION: Final[dict[str, Any]] = {
    "summary": "What leads did, what is known of them, and what sales did to them",
    "tags": ["events"],
    "status_code": 202,
    "responses": {
        202: {"model": Answer, "description": "At least one event was acceptable; it is durable."},
        **refusals(401, 403, 413, 415, 422, 429, 503),
    },
    "openapi_extra": {
        "x-scope": SCOPE,
        "security": [{"key": []}],
        "requestBody": {
            "required": True,
            "content": {
                PLAIN: {"schema": {"anyOf": [body_schema(PostedEvent), body_schema(PostedEvents)]}},
                cloudevents.STRUCTURED: {"schema": body_schema(CloudEvent)},
                cloudevents.BATCH: {"schema": body_schema(list[CloudEvent])},
            },
        },
    },
}

Read = Callable[[Any, Reading], Posted]
Found = TypeVar("Found")


class EventsRoute:
    """The dependencies of the route, given by `main`."""

    def __init__(
        self,
        *,
        keys: KeyRing,
        sources: SourceBook,
        publisher: LanePublisher[Submission, Outcome],
        settings: IngestSettings,
        metrics: Metrics,
        clock: Clock,
        room: Room,
    ) -> None:
        self._keys = keys
        self._sources = sources
        self._publisher = publisher
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._room = room
        rate = settings.rate_events_per_second
        self._rate = RateLimiter(rate, rate, on_limit=self._at_limit)

    def routes(self) -> Sequence[APIRoute]:
        return (PlainRoute("/v1/events", self.post_events, methods=["POST"], name="post_events", **DESCRIPTION),)

    async def post_events(self, request: Request) -> Response:
        """Accepts one event or a batch. 202 when at least one event was acceptable; it is durable then."""
        principal = await self._keys.authenticate(request.headers.get("authorization"))
        principal.require(SCOPE)
        limit = self._settings.body_bytes_max
        size = declared_size(request.headers, limit)
        self._room.take(size)
        try:
            body = await read_body(request.scope, request.receive, bytes_max=limit, on_limit=self._at_limit)
            return await self._take(request, principal, body)
        finally:
            self._room.give_back(size)

    async def _take(self, request: Request, principal: Principal, body: bytes) -> Response:
        received_at = self._clock.now()
        media_type = _media_type_of(request)
        text = _text_of(body)
        raw, read = _events_of(media_type, request.headers, text)
        self._check_batch(principal.key_id, len(raw))
        reading = Reading(
            sender=await self._sources.sender(principal),
            received_at=received_at,
            check_text="\\u" in text,
            # An event of a body this small can't be too large, so its size needn't be taken.
            event_bytes_max=self._settings.event_bytes_max if len(body) > self._settings.event_bytes_max else None,
        )
        judged = _judge(raw, read, reading)
        self._metrics.rejected.inc(len(judged.rejected))
        if judged.oversized:
            self._metrics.limit_reached.labels("event_bytes").inc(judged.oversized)
        outcome = Outcome(0)
        if judged.accepted:
            outcome = await self._publish(Submission(judged.accepted, traceparent_of(request.scope)))
        elif judged.rejected:
            raise _nothing_acceptable(judged.rejected)
        answer = {"accepted": outcome.accepted, "duplicates": outcome.duplicates, "rejected": judged.rejected}
        return Response(to_json(answer), status_code=202, media_type="application/json")

    async def _publish(self, submission: Submission) -> Outcome:
        try:
            return await self._publisher.publish(submission)
        except Unavailable:
            self._metrics.unavailable.inc()
            raise

    def _check_batch(self, key_id: str, events: int) -> None:
        allowed = self._settings.batch_events_max
        if events > allowed:
            self._at_limit("batch_events")
            raise Problem(
                422, "Too many events", errors=[FieldError("events", f"{events} in one request; allowed: {allowed}")]
            )
        self._rate.require(key_id, events or 1)

    def _at_limit(self, limit: str) -> None:
        self._metrics.limit_reached.labels(limit).inc()


class _Judged(NamedTuple):
    accepted: Sequence[Posted]
    rejected: Sequence[Rejection]
    oversized: int


def _text_of(body: bytes) -> str:
    try:
        return text_of(body)
    except UnicodeDecodeError as error:
        raise _unreadable(f"not UTF-8 at byte {error.start}") from None


def _media_type_of(request: Request) -> str:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type and "ce-specversion" in request.headers:
        media_type = PLAIN  # as of an event whose datacontenttype isn't told
    if media_type not in MEDIA_TYPES:
        raise Problem(415, "Unsupported media type", f"Allowed: {', '.join(MEDIA_TYPES)}.")
    require_uncompressed(request.headers)
    return media_type


def _events_of(media_type: str, headers: Mapping[str, str], text: str) -> tuple[Sequence[Any], Read]:
    """The events of a body before any is judged, and how to read each: by the media type and CloudEvents' headers."""
    is_binary = media_type == PLAIN and "ce-specversion" in headers
    try:
        value = read_json(text) if text or not is_binary else {}
    except ValueError as error:
        raise _unreadable(_position_of(error)) from None
    if is_binary:
        return [_or_422(lambda: cloudevents.from_headers(headers, value))], cloudevents.read_cloud_event
    if media_type == cloudevents.STRUCTURED:
        return [value], cloudevents.read_cloud_event
    if media_type == cloudevents.BATCH:
        if not isinstance(value, list):
            raise Problem(422, "Invalid events", errors=[FieldError("", "must be a list of CloudEvents")])
        return value, cloudevents.read_cloud_event
    return _or_422(lambda: plain.split(value)), plain.read_event


def _or_422(read: Callable[[], Found]) -> Found:
    try:
        return read()
    except Refused as refused:
        raise Problem(422, "Invalid events", errors=[FieldError(*fault) for fault in refused.faults]) from None


def _judge(raw: Sequence[Any], read: Read, reading: Reading) -> _Judged:
    accepted: list[Posted] = []
    rejected: list[Rejection] = []
    oversized = 0
    for index, item in enumerate(raw):
        try:
            accepted.append(read(item, reading))
        except Oversized as refused:
            oversized += 1
            rejected.append(_rejection(index, item, refused.faults))
        except Refused as refused:
            rejected.append(_rejection(index, item, refused.faults))
    return _Judged(accepted, rejected, oversized)


def _rejection(index: int, item: Any, faults: Sequence[Fault]) -> Rejection:
    sender_id = item.get("id") if isinstance(item, dict) else None
    shown = sender_id if isinstance(sender_id, str) and len(sender_id) <= 200 and sender_id.isprintable() else None
    return Rejection(
        index=index, id=shown, errors=[{"path": path.lstrip("."), "message": text} for path, text in faults]
    )


def _nothing_acceptable(rejected: Sequence[Rejection]) -> Problem:
    errors = [
        FieldError(f"events.{rejection.index}.{error['path']}".rstrip("."), error["message"])
        for rejection in rejected[:REJECTED_EVENTS_LISTED_MAX]
        for error in rejection.errors
    ]
    return Problem(422, "No acceptable event", f"{len(rejected)} of {len(rejected)} events were refused", errors=errors)


def _unreadable(message: str) -> Problem:
    return Problem(422, "Unreadable body", "The body is not JSON that can be read.", errors=[FieldError("", message)])


def _position_of(error: ValueError) -> str:
    """Where JSON broke, without quoting the body."""
    line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
    return f"malformed JSON at line {line}, column {column}" if line else "malformed JSON: a number that can't be read"
