"""A span for each step and each sweep, around the handlers and tickers that the runner calls.

A span lasts from the first look at a batch to its commit. A step that is rolled back after its handler returned leaves
no span; the one that repeats it does.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from shared.errors import AlreadyApplied
from shared.events.envelope import Outgoing, Record
from shared.stream.carrier import Slot, Transaction
from shared.stream.faults import kind_of
from shared.stream.handler import Handler, Ticker
from shared.telemetry.spans import Attribute, Spans
from shared.telemetry.tracing import is_sampled, valid_traceparent

LINKS_MAX: Final = 32


class TracedHandler:
    """Implements `Handler`. A batch of one trace is part of it; any other is a trace of its own with links."""

    def __init__(self, handler: Handler, spans: Spans, slot: Slot, messaging_system: str) -> None:
        self._handler = handler
        self._spans = spans
        self._name = f"step {slot.service}"
        self._attributes = _attributes(slot) | {
            "messaging.system": messaging_system,
            "messaging.operation.name": "step",
            "messaging.operation.type": "process",
            "messaging.consumer.group.name": f"accord-{slot.service}",
            "messaging.destination.partition.id": str(slot.number),
        }

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        carried = dict.fromkeys(record.event.traceparent for record in records)
        links = linkable(carried)
        attributes = self._attributes | {"messaging.batch.message_count": len(records)}
        if len(topics := {record.topic for record in records}) == 1:
            attributes["messaging.destination.name"] = topics.pop()
        parent = valid_traceparent(next(iter(carried))) if len(carried) == 1 else None
        span = self._spans.begin(self._name, "consumer", attributes, parent=parent, links=links)
        try:
            outgoing = await self._handler.handle(transaction, records)
        except AlreadyApplied:  # the runner repeats the step without what was applied before
            raise
        except Exception as error:
            span.end(kind_of(error))
            raise
        span.set({"accord.events_out": len(outgoing)})
        transaction.on_commit(span.end)
        return outgoing


class TracedTicker:
    """Implements `Ticker`. What a sweep announces was caused by time, not by a request: its trace begins here."""

    def __init__(self, ticker: Ticker, spans: Spans, slot: Slot) -> None:
        self._ticker = ticker
        self._spans = spans
        self._name = f"sweep {slot.service}"
        self._attributes = _attributes(slot)

    async def seconds_to_next(self, now: datetime) -> float | None:
        return await self._ticker.seconds_to_next(now)

    async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
        span = self._spans.begin(self._name, "internal", self._attributes)
        try:
            outgoing = await self._ticker.tick(transaction, now)
        except Exception as error:
            span.end(kind_of(error))
            raise
        if not outgoing:
            return outgoing
        span.set({"accord.events_out": len(outgoing)})
        transaction.on_commit(span.end)
        return [_continuing(one, span.traceparent) for one in outgoing]


def linkable(carried: Iterable[str | None]) -> list[str]:
    """The first of these that are valid and recorded by somebody: a link to any other leads nowhere."""
    links: list[str] = []
    for traceparent in carried:
        if len(links) >= LINKS_MAX:
            break
        if valid_traceparent(traceparent) and traceparent is not None and is_sampled(traceparent):
            links.append(traceparent)
    return links


def _attributes(slot: Slot) -> dict[str, Attribute]:
    return {"accord.service": slot.service, "accord.partition": slot.number}


def _continuing(outgoing: Outgoing, traceparent: str) -> Outgoing:
    topic, event = outgoing
    return Outgoing(topic, event._replace(traceparent=traceparent)) if event.traceparent is None else outgoing
