"""Judges promises on many leads: each by the owner of one partition, once all partitions were read far enough."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from services.sla_monitor.metrics import Metrics
from services.sla_monitor.model.gate import End
from services.sla_monitor.model.promises import CORRECTED_FOR, Counted, announcement_id, due_at, turn
from services.sla_monitor.store import promises as store
from shared.db.accord_book import AccordBook, NoAccord
from shared.events import codec, topics
from shared.events.envelope import Event, Outgoing
from shared.events.promises import PromiseEvent, PromiseKept, promise_key
from shared.stream.carrier import Transaction

log = structlog.get_logger(component="sla-monitor")

# So often it is looked whether a period begins, what is due, and what came in after a period was settled.
LOOK_SECONDS: Final = 15.0
LOOK_AGAIN_SECONDS: Final = 0.25
# What must be read before a moment is judged: of each of these, in turn, the end that is seen when its turn comes.
_LINE: Final = (
    (("scoring", topics.ACTIVITY),),
    (("stages", topics.SCORE), ("stages", topics.SALES)),
    (("sla-monitor", topics.LIFECYCLE),),
)


class Line(Protocol):
    """How far the log goes and who has read how far. `Carrier` is one."""

    partitions: int

    async def end(self, topic: str, partition: int) -> End: ...

    async def has_read(self, service: str, topic: str, partition: int, end: End) -> bool: ...


class Reading:
    """A wait until all partitions have read, down the whole line, what had come in when it began."""

    def __init__(self, began_at: datetime, line: Line) -> None:
        self.began_at = began_at
        self._line = line
        self._places = dict.fromkeys(range(line.partitions), 0)
        self._ends: dict[int, list[tuple[str, str, End]]] = {}

    async def is_over(self) -> bool:
        for partition in list(self._places):
            while await self._has_come_on(partition):
                pass
        return not self._places

    async def _has_come_on(self, partition: int) -> bool:
        """Whether a partition that isn't at the end of the line has read what it had to at its place."""
        place = self._places.get(partition)
        if place is None:
            return False
        if partition not in self._ends:
            self._ends[partition] = [
                (reader, topic, await self._line.end(topic, partition)) for reader, topic in _LINE[place]
            ]
        for reader, topic, end in self._ends[partition]:
            if not await self._line.has_read(reader, topic, partition, end):
                return False
        del self._ends[partition]
        if place + 1 < len(_LINE):
            self._places[partition] = place + 1
        else:
            del self._places[partition]
        return True


class PromiseSweeper:
    """Implements `Ticker` for one partition: for the promises whose key lies in it."""

    def __init__(self, *, partition: int, line: Line, pool: Any, accords: AccordBook, metrics: Metrics) -> None:
        self._partition = partition
        self._line = line
        self._pool = pool
        self._accords = accords
        self._metrics = metrics
        self._reading: Reading | None = None
        self._read_through: datetime | None = None
        self._look_at: datetime | None = None

    async def seconds_to_next(self, now: datetime) -> float | None:
        # A clock that was set back doesn't put off the next look.
        if self._look_at is not None and 0 < (ahead := (self._look_at - now).total_seconds()) <= LOOK_SECONDS:
            return ahead
        if self._reading is not None:
            if not await self._reading.is_over():
                self._metrics.promise_waits.inc()
                return self._look_again_in(LOOK_AGAIN_SECONDS, now)
            self._read_through, self._reading = self._reading.began_at, None
            return 0
        return await self._look(now)

    async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
        read_through, self._read_through = self._read_through, None
        accords = await self._accords.assume(transaction)
        counted = await self._counted(transaction.connection, now)
        judged, events = turn(counted, accords, now=now, read_through=read_through, is_mine=self._is_mine)
        corrections = {(row.promise, row.since): row.corrections for row in judged}
        told: dict[Any, tuple[PromiseEvent, Event]] = {}
        for payload in events:
            id = announcement_id(payload, corrections[payload.promise, payload.since])
            told[id] = (
                payload,
                codec.event(payload, id=id, time=payload.occurred_at, received_at=now, accord=payload.accord),
            )
        transaction.add(*store.save_periods(self._partition, judged), *store.save_events(told))
        transaction.on_commit(lambda: self._tell(events))
        return [Outgoing(topics.SLA, event) for _, event in told.values()]

    async def _look(self, now: datetime) -> float:
        """Whether there is something to do now; else when to look again."""
        try:
            accords = await self._accords.refresh(self._pool)
        except NoAccord:  # the process says so; there is nothing to promise
            return self._look_again_in(LOOK_SECONDS, now)
        counted = await self._counted(self._pool, now)
        due = [at for row in counted if (at := due_at(row, accords)) is not None]
        first = min(due, default=None)
        if first is not None and first <= now:
            self._reading = Reading(now, self._line)
            return self._look_again_in(0.0, now)
        until_due = LOOK_SECONDS if first is None else (first - now).total_seconds()
        seconds = self._look_again_in(min(LOOK_SECONDS, until_due), now)
        has_changed = turn(counted, accords, now=now, read_through=None, is_mine=self._is_mine).judged
        return 0 if has_changed else seconds

    def _look_again_in(self, seconds: float, now: datetime) -> float:
        """Never 0, which says that there is something to do."""
        self._look_at = now + timedelta(seconds=seconds)
        return max(seconds, 0.001)

    async def _counted(self, connection: Any, now: datetime) -> Counted:
        return await store.periods(connection, self._partition, now - CORRECTED_FOR)

    def _is_mine(self, promise: str) -> bool:
        return topics.partition_of(promise_key(promise), self._line.partitions) == self._partition

    def _tell(self, events: Sequence[PromiseEvent]) -> None:
        """After the commit."""
        for event in events:
            what = event.TYPE.rpartition(".")[2]
            self._metrics.promise_events.labels(event.promise, what).inc()
            say = log.debug if isinstance(event, PromiseKept) else log.info
            figures = {"target": event.target, "reached": event.reached, "pace": event.pace}
            say(f"promise_{what}", promise=event.promise, period=event.period, of=event.of, **figures)
