"""Wakes readers in this process when something was put on their partition. A missed wake costs at most one poll."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from shared.stream.carrier import Slot


class WakeBoard:
    """One event per slot, set by commits that touched one of its topics' partitions, or by name."""

    def __init__(self) -> None:
        self._events: dict[Slot, asyncio.Event] = {}
        self._readers: dict[tuple[str, int], set[Slot]] = defaultdict(set)

    async def wait(self, slot: Slot, topics: Sequence[str], timeout_seconds: float) -> None:
        """Returns at once if the slot was woken since its last wait ended."""
        event = self._event(slot, topics)
        try:
            async with asyncio.timeout(timeout_seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            event.clear()

    def touched(self, places: Iterable[tuple[str, int]]) -> None:
        """Events were committed on these (topic, partition)s."""
        for place in places:
            for slot in self._readers.get(place, ()):
                self._events[slot].set()

    def wake(self, slot: Slot) -> None:
        self._event(slot, ()).set()

    def _event(self, slot: Slot, topics: Sequence[str]) -> asyncio.Event:
        event = self._events.get(slot)
        if event is None:
            event = self._events[slot] = asyncio.Event()
        for topic in topics:
            self._readers[topic, slot.number].add(slot)
        return event
