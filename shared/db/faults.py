"""What a database that is away, or goes away in mid-call, raises: for every loop that must go on, and every answer."""

from typing import Final

import asyncpg

# InternalClientError: asyncpg on a connection that Postgres has just ended with a last word.
DATABASE_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

# SQLSTATE classes of a server that is away, full or ending: the same statement may succeed later.
_AWAY: Final = ("08", "53", "57", "58")


def is_unreachable(error: BaseException | None) -> bool:
    """Whether this says that the database can't be reached just now, and not that an argument is wrong."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate or "").startswith(_AWAY)
    # asyncpg's own DataError, a value that Postgres can't hold, is both an InterfaceError and a ValueError.
    return isinstance(error, DATABASE_ERRORS) and not isinstance(error, ValueError)
