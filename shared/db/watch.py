"""Whether the database answers: one small question a second on a connection of its own, however often somebody wonders.

A database that is frozen, or behind a wall that drops packets, refuses nothing, and its connections look healthy for
ever. One that stays silent is taken for gone: all connections are given up, so that whoever waits for it is answered.
"""

import asyncio
from typing import Any, Final
from weakref import WeakSet

import asyncpg
import structlog

from shared.db.connections import connect_options, dsn
from shared.db.faults import DATABASE_ERRORS

PAUSE_SECONDS: Final = 1.0
# Connecting and the answer together. A healthy database that is very busy answers sooner.
ANSWER_SECONDS_MAX: Final = 3.0

log = structlog.get_logger(component="database")


class DatabaseWatch:
    """`trouble` says why the database can't be worked with; None while it answers, and before the first look."""

    def __init__(self, database_url: str) -> None:
        self._address = dsn(database_url)
        self._connection: Any = None
        self._given_out: WeakSet[asyncpg.Connection] = WeakSet()
        self.trouble: str | None = None

    async def connect(self, *arguments: Any, **options: Any) -> asyncpg.Connection:
        """As `asyncpg.connect`, for connections that are given up when the database stays silent.

        Raises ConnectionError at once while there is trouble.
        """
        if self.trouble is not None:
            raise ConnectionError(f"the database can't be worked with: {self.trouble}")
        connection = await asyncpg.connect(*arguments, **options)
        self._given_out.add(connection)
        return connection

    async def run(self) -> None:
        """Looks until cancelled."""
        try:
            while True:
                self._note(await self._look())
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._hang_up()

    async def _look(self) -> str | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                if self._connection is None:
                    self._connection = await asyncpg.connect(self._address, **connect_options("accord-watch"))
                await self._connection.execute("SELECT 1")
        except asyncpg.TooManyConnectionsError:
            return None  # an answer: those who are connected can work
        except TimeoutError:
            self._hang_up()
            return f"no answer within {ANSWER_SECONDS_MAX:g} s"
        except DATABASE_ERRORS as error:
            self._hang_up()
            return f"no connection ({type(error).__name__})"
        return None

    def _note(self, trouble: str | None) -> None:
        before, self.trouble = self.trouble, trouble
        if trouble is None:
            if before is not None:
                log.warning("database_back")
        elif before is None:
            log.error("database_away", reason=trouble)
        else:
            # Not at the first look: this process may itself have stood still for as long.
            self._give_up()

    def _give_up(self) -> None:
        for connection in list(self._given_out):
            connection.terminate()
        self._given_out.clear()

    def _hang_up(self) -> None:
        """At once: a good-bye would wait for an answer."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
