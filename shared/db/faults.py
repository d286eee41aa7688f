"""What a database that is away, or goes away in mid-call, raises: one list for every loop that must go on."""

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
