"""A span for each step and each sweep: what it is part of, what it is linked to, and what it doesn't say."""

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from builders import NOON, an_event
from spans import TRACE, TRACE_ID, LocalSpans

from shared.errors import AlreadyApplied
from shared.events.envelope import Outgoing, Record
from shared.events.topics import ACTIVITY, SALES, SCORE
from shared.stream.carrier import Slot, Transaction
from shared.stream.memory import MemoryCarrier
from shared.stream.traced import LINKS_MAX, TracedHandler, TracedTicker

SLOT = Slot("scoring", "partition", 3)


def _record(traceparent: str | None, *, number: int = 0, topic: str = ACTIVITY) -> Record:
    event = an_event(f"event {number}", partition=3)._replace(traceparent=traceparent)
    return Record(topic, 3, number, "ingest/0", number + 1, event)


def _trace(number: int, flags: str = "01") -> str:
    return f"00-{number + 1:032x}-{number + 1:016x}-{flags}"


class _Service:
    """A handler and a ticker that emit what they are told to, or raise."""

    def __init__(self, outgoing: Sequence[Outgoing] = (), error: Exception | None = None) -> None:
        self._outgoing = outgoing
        self._error = error

    async def handle(self, transaction: Transaction, records: Sequence[Record]) -> Sequence[Outgoing]:
        if self._error is not None:
            raise self._error
        return self._outgoing

    async def seconds_to_next(self, now: datetime) -> float | None:
        return 7.0

    async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
        return await self.handle(transaction, ())


class _Line:
    """One partition whose steps are traced."""

    def __init__(self, service: _Service) -> None:
        self.local = LocalSpans()
        self._handler = TracedHandler(service, self.local.spans, SLOT, "postgresql")
        self.ticker = TracedTicker(service, self.local.spans, SLOT)
        self._carrier = MemoryCarrier()

    async def step(self, *records: Record, then: Callable[[], None] = lambda: None) -> Sequence[Outgoing]:
        claim = await self._carrier.claim(SLOT)
        async with claim.step(claim.positions, claim.breaker) as transaction:
            outgoing = await self._handler.handle(transaction, records)
            then()
        return outgoing

    async def sweep(self) -> Sequence[Outgoing]:
        claim = await self._carrier.claim(SLOT)
        async with claim.step(claim.positions, claim.breaker) as transaction:
            return await self.ticker.tick(transaction, NOON)


async def test_a_batch_of_one_trace_is_part_of_it_and_says_what_it_was() -> None:
    emitted = Outgoing(SCORE, an_event("emitted")._replace(traceparent=TRACE))
    line = _Line(_Service([emitted]))
    assert await line.step(_record(TRACE), _record(TRACE, number=1)) == [emitted]
    (span,) = await line.local.ended()
    assert (span.name, span.kind, span.trace_id, span.parent_id) == (
        "step scoring",
        "CONSUMER",
        TRACE_ID,
        "00f067aa0ba902b7",
    )
    assert (span.links, span.is_error) == ([TRACE_ID], False)
    assert span.attributes == {
        "accord.service": "scoring",
        "accord.partition": 3,
        "accord.events_out": 1,
        "messaging.system": "postgresql",
        "messaging.operation.name": "step",
        "messaging.operation.type": "process",
        "messaging.batch.message_count": 2,
        "messaging.consumer.group.name": "accord-scoring",
        "messaging.destination.name": ACTIVITY,
        "messaging.destination.partition.id": "3",
    }


async def test_a_batch_of_several_traces_is_its_own_and_linked_to_a_bounded_number_of_them() -> None:
    line = _Line(_Service())
    junk = [_record(None), _record("00-no-traceparent-01"), _record(_trace(99, flags="00"), topic=SALES)]
    await line.step(*junk, *(_record(_trace(number)) for number in range(LINKS_MAX + 5)))
    (span,) = await line.local.ended()
    assert span.parent_id == ""
    assert span.links == [_trace(number).split("-")[1] for number in range(LINKS_MAX)]
    assert span.trace_id not in span.links
    assert "messaging.destination.name" not in span.attributes


async def test_a_trace_that_its_caller_does_not_record_is_not_recorded_here() -> None:
    line = _Line(_Service())
    await line.step(_record(_trace(1, flags="00")))
    assert await line.local.ended() == []


async def test_a_step_that_is_not_committed_leaves_no_span() -> None:
    def vanish() -> None:
        raise ConnectionError

    line = _Line(_Service())
    with pytest.raises(ConnectionError):
        await line.step(_record(TRACE), then=vanish)
    with pytest.raises(AlreadyApplied):
        await _Line(_Service(error=AlreadyApplied(set()))).step(_record(TRACE))
    assert await line.local.ended() == []


async def test_a_step_that_fails_says_how_and_quotes_nothing() -> None:
    line = _Line(_Service(error=ValueError("ada@maker.example")))
    with pytest.raises(ValueError, match="ada"):
        await line.step(_record(TRACE))
    (span,) = await line.local.ended()
    assert (span.is_error, span.attributes["error.type"]) == (True, "ValueError")
    assert "maker" not in repr(span)


async def test_what_a_sweep_announces_begins_a_trace() -> None:
    announced = [Outgoing(SCORE, an_event(name)) for name in ("one", "two")]
    line = _Line(_Service(announced))
    assert await line.ticker.seconds_to_next(NOON) == 7.0
    told = await line.sweep()
    (span,) = await line.local.ended()
    assert (span.name, span.parent_id, span.attributes["accord.events_out"]) == ("sweep scoring", "", 2)
    assert {event.traceparent for _, event in told} == {f"00-{span.trace_id}-{span.span_id}-03"}
    assert [event._replace(traceparent=None) for _, event in told] == [event for _, event in announced]


async def test_a_sweep_without_announcements_leaves_no_span_and_one_that_fails_does() -> None:
    idle, failing = _Line(_Service()), _Line(_Service(error=TimeoutError()))
    assert await idle.sweep() == ()
    assert await idle.local.ended() == []
    with pytest.raises(TimeoutError):
        await failing.sweep()
    (span,) = await failing.local.ended()
    assert (span.name, span.attributes["error.type"]) == ("sweep scoring", "TimeoutError")
