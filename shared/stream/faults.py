"""Tells poison from the surroundings (DESIGN.md "Failure")."""

import asyncpg

from shared.errors import (
    AlreadyApplied,
    Gap,
    OutOfRange,
    OwnershipLost,
    Poison,
    PositionsMoved,
    Raced,
    Surroundings,
    TooMuch,
    Unavailable,
)
from shared.stream.breaker import Stopped

# Data exception, integrity constraint violation, and more than a row or an index can hold.
_POISON_CLASSES = ("22", "23", "54")
_NOT_THE_EVENT = (
    *(Surroundings, Unavailable, Raced, OwnershipLost, PositionsMoved, Gap, OutOfRange, AlreadyApplied, TooMuch),
    Stopped,
)


def is_poison(error: Exception) -> bool:
    """True when the event itself can't be applied; False when the same step may succeed later."""
    if isinstance(error, Poison):
        return True
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "")[:2] in _POISON_CLASSES
    if isinstance(error, asyncpg.InterfaceError):
        return isinstance(error, ValueError)  # asyncpg's own DataError: a value that Postgres can't hold
    return not isinstance(error, (*_NOT_THE_EVENT, OSError, TimeoutError, MemoryError, asyncpg.InternalClientError))


def is_raced(error: Exception) -> bool:
    """True when somebody else's commit was in the way: the same one may go through at once."""
    return isinstance(error, Raced | asyncpg.DeadlockDetectedError | asyncpg.SerializationError)


def kind_of(error: Exception) -> str:
    """A closed, short name of an error for rows and labels."""
    if isinstance(error, asyncpg.PostgresError):
        return f"sqlstate {error.sqlstate}"
    return type(error).__name__
