"""What is poison and what is the surroundings."""

import asyncpg
import pytest
from asyncpg.exceptions import _base

from shared import errors
from shared.stream.faults import is_poison, kind_of

POISON: list[Exception] = [
    errors.Poison(),
    ValueError(),
    KeyError(),
    ZeroDivisionError(),
    RecursionError(),
    AssertionError(),
    UnicodeDecodeError("utf-8", b"", 0, 1, ""),
    asyncpg.DataError(),
    asyncpg.NumericValueOutOfRangeError(),
    asyncpg.CharacterNotInRepertoireError(),
    asyncpg.UniqueViolationError(),
    asyncpg.CheckViolationError(),
    asyncpg.NotNullViolationError(),
    asyncpg.ProgramLimitExceededError(),  # such as a text that is too long for an index
    _base.DataError("a value that asyncpg can't send"),
]
SURROUNDINGS: list[Exception] = [
    errors.Surroundings(),
    errors.Unavailable(),
    errors.OwnershipLost(),
    errors.PositionsMoved(),
    errors.Gap(),
    errors.AlreadyApplied([]),
    ConnectionResetError(),
    OSError(),
    TimeoutError(),
    MemoryError(),
    asyncpg.DeadlockDetectedError(),
    asyncpg.SerializationError(),
    asyncpg.LockNotAvailableError(),
    asyncpg.QueryCanceledError(),
    asyncpg.AdminShutdownError(),
    asyncpg.CannotConnectNowError(),
    asyncpg.TooManyConnectionsError(),
    asyncpg.DiskFullError(),
    asyncpg.ConnectionDoesNotExistError(),
    asyncpg.IdleInTransactionSessionTimeoutError(),
    asyncpg.UndefinedTableError(),
    asyncpg.InsufficientPrivilegeError(),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError(),
    asyncpg.PostgresError(),
]


@pytest.mark.parametrize("error", POISON, ids=lambda error: type(error).__name__)
def test_what_the_event_causes_is_poison(error: Exception) -> None:
    assert is_poison(error)


@pytest.mark.parametrize("error", SURROUNDINGS, ids=lambda error: type(error).__name__)
def test_what_may_succeed_later_is_not(error: Exception) -> None:
    assert not is_poison(error)


def test_a_kind_is_short_and_closed() -> None:
    assert kind_of(asyncpg.UniqueViolationError("Key (email)=(ann@example.com) exists")) == "sqlstate 23505"
    assert kind_of(ValueError("ann@example.com")) == "ValueError"
