"""One place where the api's statements run, and where a database that is away becomes Unavailable (503).

The engine's connections work as the api's role (shared/db/api_role.py): what they may not do, Postgres refuses.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Executable, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.db.faults import DATABASE_ERRORS, is_unreachable
from shared.errors import Unavailable
from shared.http.auth import Principal

Row = dict[str, Any]
# Where a statement's rows come from: a transaction of their own, or one that is under way.
Rows = Callable[[Executable], Awaitable[Sequence[Row]]]
# Who the request acts for; the audit log (migration 0015) reads it from the transaction.
ACTING: ContextVar[Principal | None] = ContextVar("ACTING", default=None)
_ACT = text("SELECT set_config('accord.actor', :actor, true)")


class Database:
    """Reads in read-only transactions that are never committed, writes in transactions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def rows(self, statement: Executable, values: Row | None = None) -> Sequence[Row]:
        """`values` fill a statement that was built once, which costs a third less than building it each time."""
        async with self.reading() as connection:
            return [dict(row) for row in (await connection.execute(statement, values)).mappings()]

    async def row(self, statement: Executable, values: Row | None = None) -> Row | None:
        async with self.reading() as connection:
            row = (await connection.execute(statement, values)).mappings().first()
            return dict(row) if row is not None else None

    async def lookup(self, sql: str, *values: object) -> Sequence[Mapping[str, Any]]:
        """For what is asked most often: a SELECT that stands in the code, as asyncpg takes it. `$1` is the first of the
        values; JSON is to be cast to text. Postgres begins and ends its transaction, which saves two round trips, and
        less than half of what `rows` takes."""
        with _away_is_unavailable():
            async with self._engine.connect() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                return await driver.fetch(sql, *values)  # type: ignore[no-any-return]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that can't write. Raises Unavailable when the database is away."""
        with _away_is_unavailable():
            async with self._engine.connect() as connection:
                yield await connection.execution_options(postgresql_readonly=True)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed on a clean exit. Raises Unavailable when the database is away."""
        with _away_is_unavailable():
            async with self._engine.begin() as connection:
                if principal := ACTING.get():
                    actor = {"id": principal.key_id, "name": principal.name, "role": principal.role}
                    await connection.execute(_ACT, {"actor": json.dumps(actor)})
                yield connection


def rows_in(connection: AsyncConnection) -> Rows:
    """Those that this transaction sees."""

    async def rows(statement: Executable) -> Sequence[Row]:
        return [dict(row) for row in (await connection.execute(statement)).mappings()]

    return rows


@contextmanager
def _away_is_unavailable() -> Iterator[None]:
    try:
        yield
    except (OSError, PoolTimeout) as error:
        raise Unavailable from error
    except DBAPIError as error:
        if _is_away(error):
            raise Unavailable from error
        raise
    except DATABASE_ERRORS as error:  # of the driver itself
        if is_unreachable(error):
            raise Unavailable from error
        raise


def _is_away(error: DBAPIError) -> bool:
    cause = error.orig.__cause__ if error.orig is not None else None
    return error.connection_invalidated or is_unreachable(cause)
