"""`POST /v1/events`: authenticate, read, judge each event on its own, commit the good ones together, answer.

A bare Starlette route: this is the busiest path of the house.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive

from services.ingest.handler import Outcome, Submission
from services.ingest.metrics import Metrics
from services.ingest.model import Fault, Oversized, Posted, Refused, read_json
from services.ingest.schemas import Rejection
from services.ingest.settings import IngestSettings
from services.ingest.sources import SourceBook
from services.ingest.vendors import cloudevents, plain
from services.ingest.vendors.plain import Reading
from shared.clock import Clock
from shared.errors import Unavailable
from shared.http.auth import KeyRing
from shared.http.limits import RateLimiter, read_body
from shared.http.problems import FieldError, Problem
from shared.http.trace import traceparent_of
from shared.stream.lane import LanePublisher

SCOPE = "events:write"
MEDIA_TYPES = ("application/json", cloudevents.STRUCTURED, cloudevents.BATCH)
REJECTED_EVENTS_LISTED_MAX = 1_000
DROP_BYTES_MAX = 64 * 1024 * 1024
DROP_SECONDS_MAX = 5.0

Read = Callable[[Any, Reading], Posted]


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
    ) -> None:
        self._keys = keys
        self._sources = sources
        self._publisher = publisher
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        rate = settings.rate_events_per_second
        self._rate = RateLimiter(rate, rate, on_limit=self._at_limit)

    def routes(self) -> Sequence[Route]:
        return (Route("/v1/events", self.post_events, methods=["POST"], name="post_events"),)

    async def post_events(self, request: Request) -> Response:
        """Accepts one event or a batch. 202 when at least one event was acceptable; it is durable then."""
        principal = await self._keys.authenticate(request.headers.get("authorization"))
        principal.require(SCOPE)
        body = await self._read(request)
        received_at = self._clock.now()
        text = _text_of(body)
        raw, read = _events_of(request, text)
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
        outcome = Outcome(0, 0)
        if judged.accepted:
            outcome = await self._publish(Submission(judged.accepted, traceparent_of(request.scope)))
        elif judged.rejected:
            raise _nothing_acceptable(judged.rejected)
        answer = {"accepted": outcome.accepted, "duplicates": outcome.duplicates, "rejected": judged.rejected}
        return Response(to_json(answer), status_code=202, media_type="application/json")

    async def _read(self, request: Request) -> bytes:
        """The body. What is too large is read to its end and dropped: a client whose connection is closed while it
        still sends never sees the answer."""
        rest = _Rest(request.receive)
        try:
            return await read_body(
                request.scope, rest.receive, bytes_max=self._settings.body_bytes_max, on_limit=self._at_limit
            )
        except Problem:
            await rest.drop()
            raise

    async def _publish(self, submission: Submission) -> Outcome:
        try:
            outcome = await self._publisher.publish(submission)
        except Unavailable:
            self._metrics.unavailable.inc()
            raise
        self._metrics.accepted.inc(outcome.accepted)
        self._metrics.duplicates.inc(outcome.duplicates)
        return outcome

    def _check_batch(self, key_id: str, events: int) -> None:
        allowed = self._settings.batch_events_max
        if events > allowed:
            self._at_limit("batch_events")
            raise Problem(
                422, "Too many events", errors=[FieldError("events", f"{events} in one request; allowed: {allowed}")]
            )
        self._rate.require(key_id, events)

    def _at_limit(self, limit: str) -> None:
        self._metrics.limit_reached.labels(limit).inc()


class _Rest:
    """What of a body has not been received yet."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_over = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._is_over = not message.get("more_body", False)
        return message

    async def drop(self) -> None:
        """Receives the rest, within bounds of bytes and time, and keeps nothing of it."""
        dropped = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(DROP_SECONDS_MAX):
                while not self._is_over and dropped < DROP_BYTES_MAX:
                    dropped += len((await self.receive()).get("body", b""))


class _Judged(NamedTuple):
    accepted: Sequence[Posted]
    rejected: Sequence[Rejection]
    oversized: int


def _text_of(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(f"not UTF-8 at byte {error.start}") from None


def _events_of(request: Request, text: str) -> tuple[Sequence[Any], Read]:
    """The events of a body before any is judged, and how to read each: by the media type and CloudEvents' headers."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise Problem(415, "Unsupported media type", f"allowed: {', '.join(MEDIA_TYPES)}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "Unsupported content encoding", "send the body without compression")
    try:
        value = read_json(text)
    except RecursionError:
        raise _unreadable("nested too deeply") from None
    except ValueError as error:
        raise _unreadable(_position_of(error)) from None
    if media_type == cloudevents.STRUCTURED:
        return [value], cloudevents.read_cloud_event
    if media_type == cloudevents.BATCH:
        if not isinstance(value, list) or not value:
            raise _unreadable("must be a list of at least one event")
        return value, cloudevents.read_cloud_event
    if "ce-specversion" in request.headers:
        return [cloudevents.from_headers(request.headers, value)], cloudevents.read_cloud_event
    try:
        return plain.split(value), plain.read_event
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
