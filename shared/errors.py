"""Errors by what the loop must do with them.

AccordError
├── Poison            one event can't be applied, now or ever: dead-letter it
├── Surroundings      the world failed (connection, deadlock, broker): retry with backoff, never dead-letter
├── AlreadyApplied    some events of the batch were applied before: drop them and run the step again
├── Raced             another publisher wrote the same row first: run the same commit again at once
├── TooMuch           these events need more than one step may do: fewer at once; one alone waits for the ticker
├── OwnershipLost     a successor took the partition or lane: stop, drop it
├── PositionsMoved    what this step began from is no longer so (a commit that looked failed): reload, go on
├── Gap               numbers of an emitter are missing: stop the partition until they arrive
├── OutOfRange        the broker no longer has what must be read next: stop the partition, tell people
├── InvalidDocument   an accord or a setting is wrong: say where, what was found, what is allowed
└── Unavailable       nothing durable can be reached, or a bound is reached: answer 503 with Retry-After
"""

from collections.abc import Collection
from uuid import UUID


class AccordError(Exception):
    """Something went wrong in Accord."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class Poison(AccordError):
    """This event can't be applied, now or ever."""


class Surroundings(AccordError):
    """The database or the broker failed; the same step may succeed later."""


class AlreadyApplied(AccordError):
    """Some events of this batch were applied before."""

    def __init__(self, event_ids: Collection[UUID]) -> None:
        super().__init__(f"{len(event_ids)} events were applied before")
        self.event_ids = frozenset(event_ids)


class Raced(AccordError):
    """Another publisher wrote the same row first."""


class TooMuch(AccordError):
    """What these events need is more than one step may do."""


class OwnershipLost(AccordError):
    """Another owner took this partition or lane."""


class PositionsMoved(AccordError):
    """The positions in the database are not those this step started from."""


class Gap(AccordError):
    """Numbers of an emitter are missing on this partition."""


class OutOfRange(AccordError):
    """The broker no longer has what this partition must read next."""


class InvalidDocument(AccordError):
    """The document has errors."""


class Unavailable(AccordError):
    """Nothing durable can be reached."""

    def __init__(self, message: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
