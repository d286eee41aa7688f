"""Whether the database answers: one small question a second on a connection of its own, however often somebody wonders.

A database that is frozen, or behind a wall that drops packets, refuses nothing, and its connections look healthy for
ever. One that stays silent is taken for gone: all connections are given up, so that whoever waits for it is answered.
"""

import asyncio
import time
from typing import Any, Final
from weakref import WeakSet

import asyncpg
import structlog

from shared.db.connections import IDLE_IN_TRANSACTION_SECONDS, connect_options, dsn
from shared.db.faults import DATABASE_ERRORS

PAUSE_SECONDS: Final = 1.0
# Connecting and the answer together. A healthy database that is very busy answers sooner.
ANSWER_SECONDS_MAX: Final = 3.0
STANDS_STILL_SECONDS: Final = float(IDLE_IN_TRANSACTION_SECONDS)

# asyncpg asks Postgres what a new statement is like before it sends the values. A process that is frozen in between
# keeps its locks for as long as it stands still: its session counts as active, not as idle in transaction. So whoever
# lives ends such sessions by the same question (docs/adr/0002).
END_HALF_SAID = """SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND application_name LIKE 'accord%'
    AND state = 'active' AND wait_event = 'ClientRead' AND state_change < now() - make_interval(secs => $1)"""

log = structlog.get_logger(component="database")


class DatabaseWatch:
    """`trouble` says why the database can't be worked with; None while it answers, and before the first look."""

    def __init__(self, database_url: str) -> None:
        self._address = dsn(database_url)
        self._connection: Any = None
        self._given_out: WeakSet[asyncpg.Connection] = WeakSet()
        self._looks_in_vain = 0
        self._away_since = 0.0
        self.trouble: str | None = None

    async def connect(self, *arguments: Any, **options: Any) -> asyncpg.Connection:
        """As `asyncpg.connect`, for connections that are given up when the database stays silent.

        Raises ConnectionError at once while it is silent.
        """
        if self._looks_in_vain:
            raise ConnectionError(f"the database can't be worked with: {self.trouble}")
        connection = await asyncpg.connect(*arguments, **options)
        self._given_out.add(connection)
        return connection

    async def run(self) -> None:
        """Looks until cancelled."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._hang_up()

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                if self._connection is None:
                    self._connection = await asyncpg.connect(self._address, **connect_options("accord-watch"))
                ended = await self._connection.fetchval(END_HALF_SAID, STANDS_STILL_SECONDS)
        except asyncpg.TooManyConnectionsError:
            self._note(None)  # it is there: those who are connected can work
        except DATABASE_ERRORS as error:
            self._hang_up()
            is_late = isinstance(error, TimeoutError)
            reason = (
                f"no answer within {ANSWER_SECONDS_MAX:g} s" if is_late else f"no connection ({type(error).__name__})"
            )
            # Of anything else the server says something: what it has cut is known to whoever was connected.
            self._note(reason, is_silent=isinstance(error, OSError))
        else:
            self._note(None)
            if ended:
                log.warning("stopped_sessions_ended", sessions=ended)

    def _note(self, trouble: str | None, *, is_silent: bool = False) -> None:
        if trouble is not None and self.trouble is None:
            self._away_since = time.monotonic()
            log.error("database_away", reason=trouble)
        elif trouble is None and self.trouble is not None:
            log.warning("database_back", away_seconds=round(time.monotonic() - self._away_since, 1))
        self.trouble = trouble
        self._looks_in_vain = self._looks_in_vain + 1 if is_silent else 0
        # Not at the first look: this process may itself have stood still for as long.
        if self._looks_in_vain > 1:
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
