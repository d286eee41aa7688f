"""What tests of all rings build and wait with. Append only: many tests lean on each line."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from uuid import UUID, uuid5

from patience import PATIENCE

from shared.events.envelope import Event
from shared.events.topics import partition_of

NAMES = UUID("5b6ac0de-0000-4000-8000-000000000000")
NOON = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)


async def eventually(condition: Callable[[], bool | Awaitable[bool]], within: float = 5) -> None:
    """Returns once the condition holds; fails at the deadline. The only place where tests wait for time to pass."""
    within *= PATIENCE
    deadline = asyncio.get_running_loop().time() + within
    while True:
        holds = condition()
        if inspect.isawaitable(holds):
            holds = await holds
        if holds:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"did not hold within {within} s: {inspect.getsource(condition).strip()}")
        await asyncio.sleep(0.005)


def lead_in(partition: int, number: int = 0, partitions: int = 4) -> UUID:
    """The id of a lead whose events lie on this partition; another one for each number."""
    leads = (uuid5(NAMES, f"lead {attempt}") for attempt in count())
    found = (lead for lead in leads if partition_of(lead, partitions) == partition)
    return next(lead for index, lead in enumerate(found) if index == number)


def an_event(name: str, *, partition: int = 0, received_at: datetime = NOON) -> Event:
    """An event whose id comes from its name, and whose data are its name."""
    return Event(uuid5(NAMES, name), "accord.activity", lead_in(partition), NOON, received_at, name.encode())
