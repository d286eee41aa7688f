"""Tells this process's readers what its commits put on the log: they are woken, and need not read it back.

A missed wake costs at most one poll, and a handover that was dropped one query: the log is what counts.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence, Set
from itertools import islice

from shared.events.envelope import Record
from shared.stream.carrier import Positions, Slot
from shared.stream.positions import START

RECORDS_MAX = 2_000

Place = tuple[str, int]  # topic, partition


async def wait_and_clear(event: asyncio.Event, timeout_seconds: float) -> None:
    """Returns once the event is set, or at the time-out; it is not set then."""
    try:
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    except TimeoutError:
        return
    finally:
        event.clear()


class Handover:
    """One wake-up per slot, and one bounded queue of records per slot and topic."""

    def __init__(self, records_max: int = RECORDS_MAX) -> None:
        self._records_max = records_max
        self._events: dict[Slot, asyncio.Event] = {}
        self._readers: dict[tuple[str, int], set[Slot]] = defaultdict(set)
        self._queues: dict[Slot, dict[str, deque[Record]]] = defaultdict(dict)
        self._stale: set[Slot] = set()
        self.tell_others: Callable[[Set[Place]], None] = lambda places: None

    async def wait(self, slot: Slot, topics: Sequence[str], timeout_seconds: float) -> None:
        """Returns at once if the slot was woken since its last wait ended."""
        await wait_and_clear(self._event(slot, topics), timeout_seconds)

    def wake(self, slot: Slot) -> None:
        """Ends the slot's wait."""
        self._event(slot, ()).set()

    def touched(self, places: Iterable[Place]) -> None:
        """Events were committed on these: their readers are woken."""
        for place in places:
            for slot in self._readers.get(place, ()):
                self._events[slot].set()

    def written_elsewhere(self, places: Iterable[Place] | None) -> None:
        """Another process has committed on these places, or anywhere (None): their readers look at the log next,
        whatever is queued for them."""
        slots = self._events.keys() if places is None else set().union(*(self._readers.get(p, ()) for p in places))
        for slot in slots:
            self._stale.add(slot)
            self._events[slot].set()

    def give(self, records: Sequence[Record]) -> None:
        """These were committed. A queue that would grow past its bound is dropped whole: its reader has a backlog, and
        reads that from the log."""
        for record in records:
            for slot in self._readers.get((record.topic, record.partition), ()):
                queue = self._queues[slot][record.topic]
                if len(queue) >= self._records_max:
                    queue.clear()
                queue.append(record)
        places = {(record.topic, record.partition) for record in records}
        self.touched(places)
        if places:
            self.tell_others(places)

    def take(self, slot: Slot, positions: Positions, limit: int) -> list[Record]:
        """At most `limit` records per topic that follow the positions without a hole. They stay here until the
        positions have moved past them: a reader may apply fewer than it took, or fail. None, once, if others wrote."""
        if slot in self._stale:
            self._stale.remove(slot)
            return []
        found: list[Record] = []
        for topic, queue in self._queues.get(slot, {}).items():
            offset = positions.get(topic, START).offset
            while queue and queue[0].offset < offset:
                queue.popleft()
            for record in islice(queue, limit):
                if record.offset != offset:
                    break
                found.append(record)
                offset += 1
        return found

    def _event(self, slot: Slot, topics: Sequence[str]) -> asyncio.Event:
        event = self._events.get(slot)
        if event is None:
            event = self._events[slot] = asyncio.Event()
        for topic in topics:
            if slot not in self._readers[topic, slot.number]:
                self._readers[topic, slot.number].add(slot)
                self._queues[slot][topic] = deque()
        return event
