"""`GET /v1/stream`: the events of the line as Server-Sent Events, from now on or from where a reader left off."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import Header, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.api.routes import stream_place
from services.api.routes.lead_reader import LeadReader
from services.api.routes.parts import Parts, Registrar, invalid
from services.api.routes.stream_feed import ENTRIES_MAX, Feed, Filter, Reader, read_by
from services.api.schemas.subscriptions import event_type
from shared.db.faults import DATABASE_ERRORS
from shared.errors import Unavailable
from shared.http.problems import Problem

HEARTBEAT_SECONDS: Final = 15.0
READERS_MAX: Final = 3_000
AGAIN_SECONDS: Final = 1.0
# Lines without a blank one after them: some clients would make an event of nothing of it.
_HEARTBEAT: Final = b": heartbeat\n"
_BEGINNING: Final = b": connected\nretry: 2000\n"
_RESET: Final = b'event: reset\ndata: {"reason": "events before this were kept no longer"}\n\n'
_TYPES_MAX: Final = 50

Types = Annotated[
    list[str] | None, Query(max_length=_TYPES_MAX, description="Separated by commas; `accord.clock.*` is all below.")
]
LeadOf = Annotated[str | None, Query(alias="lead", max_length=400, description="One lead alone, by id or email.")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=20_000)]


class StreamRoutes:
    """Live events."""

    def __init__(self, parts: Parts, reader: LeadReader, feed: Feed) -> None:
        self._parts = parts
        self._reader = reader
        self._feed = feed

    def register(self, to: Registrar) -> None:
        to.add(
            "GET /v1/stream",
            self.stream,
            summary="Events as they happen, resumable with Last-Event-ID",
            answer=None,
            also={200: {"description": "Server-Sent Events", "content": {"text/event-stream": {}}}},
        )

    async def stream(
        self, request: Request, types: Types = None, lead: LeadOf = None, last_event_id: LastEventId = None
    ) -> Response:
        wanted = Filter(_types(types), None if lead is None else await self._reader.resolve(lead))
        if len(self._feed.readers) >= READERS_MAX:
            self._parts.metrics.reach("stream_readers")
            raise Problem(503, "Too many readers", "This process has as many as it may.", headers={"Retry-After": "5"})
        place, is_reset = await self._place(last_event_id)
        caller = self._parts.keys.caller_of(request)

        async def is_allowed() -> bool:
            try:
                (await caller()).require("stream:read")
            except Problem:
                return False
            except DATABASE_ERRORS:  # who was allowed in stays
                pass
            return True

        return EventStream(self._feed, Reader(wanted, place), is_allowed=is_allowed, is_reset=is_reset)

    async def _place(self, last_event_id: str | None) -> tuple[Sequence[int], bool]:
        """Where to begin, and whether something before it was forgotten. Raises Problem 422."""
        if not last_event_id:
            return await self._feed.store.ends(), False
        try:
            place = stream_place.read(last_event_id, self._feed.store.partitions)
        except stream_place.InvalidPlace as error:
            raise invalid("Last-Event-ID", str(error)) from None
        horizons = await self._feed.store.horizons()
        kept = [max(pair) for pair in zip(place, horizons, strict=True)]
        return kept, tuple(kept) != place


class EventStream(Response):
    """The answer: what was kept since the reader's place, then what comes, until either side ends it."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, reader: Reader, *, is_allowed: Callable[[], Any], is_reset: bool) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._feed = feed
        self._reader = reader
        self._is_allowed = is_allowed
        self._is_reset = is_reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(self._until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] == "HEAD":  # no events: it is over
                self._reader.end()
            await _send(send, _BEGINNING + (_RESET if self._is_reset else b""))
            await self._catch_up(send)
            await self._follow(send)
            if not leaving.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            self._feed.leave(self._reader)

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._reader.end()

    async def _catch_up(self, send: Send) -> None:
        """Page by page; the last look comes after the reader has joined, so that nothing falls between."""
        reader = self._reader
        has_joined = False
        while not reader.is_over:
            assert reader.place is not None
            try:
                entries = await self._feed.store.following(reader.place, ENTRIES_MAX)
                if len(entries) < ENTRIES_MAX and not has_joined:
                    await self._feed.join(reader)
                    has_joined = True
                    entries = await self._feed.store.following(reader.place, ENTRIES_MAX)
            except Unavailable:  # nothing was lost: the place is where it was
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if chunk := read_by(reader, entries):
                await _send(send, chunk)
            if has_joined and len(entries) < ENTRIES_MAX:
                reader.end_early()
                return

    async def _follow(self, send: Send) -> None:
        reader = self._reader
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + HEARTBEAT_SECONDS
        while not reader.is_over:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(beat_at):
                    await reader.has_come.wait()
            chunk = reader.take()
            if loop.time() >= beat_at:
                if not await self._is_allowed():
                    return
                chunk += _HEARTBEAT
                beat_at = loop.time() + HEARTBEAT_SECONDS
            if chunk:
                await _send(send, chunk)


async def _send(send: Send, chunk: bytes) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


def _types(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Raises Problem 422."""
    given = tuple(dict.fromkeys(one.strip() for text in texts or () for one in text.split(",") if one.strip()))
    if len(given) > _TYPES_MAX:
        raise invalid("types", f"names more than {_TYPES_MAX}")
    for one in given:
        try:
            event_type(one)
        except ValueError as error:
            raise invalid("types", f"{one[:100]} {error}") from None
    return () if "*" in given else given
