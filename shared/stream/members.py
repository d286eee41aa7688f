"""Who runs which partition when several processes share them over one Postgres (docs/adr/0009).

Every member of a service says once a second that it lives. The living share the partitions by their sorted names: each
gives back what is another's and takes what is its own once nobody living has it. Only the database's clock counts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

import structlog

from shared.db.faults import DATABASE_ERRORS
from shared.stream.crew import Crew

log = structlog.get_logger()

HEARTBEAT_SECONDS: Final = 1.0
# A member that says nothing for so long is dead: it stands still, or its machine is gone.
LEASE_SECONDS: Final = 10.0
# One whose session has ended as well was killed, or is about to connect again.
SESSION_LOST_SECONDS: Final = 2.5
STATEMENT_SECONDS_MAX: Final = 5.0

JOIN = "SELECT pg_advisory_lock_shared(hashtext($1), hashtext($2))"
FORGET = "DELETE FROM stream.members WHERE service = $1 AND seen_at < now() - make_interval(secs => $2)"
BEAT = """INSERT INTO stream.members (service, owner, seen_at) VALUES ($1, $2, now())
ON CONFLICT (service, owner) DO UPDATE SET seen_at = EXCLUDED.seen_at"""
LEAVE = "DELETE FROM stream.members WHERE service = $1 AND owner = $2"

# Nobody could be seen while Postgres itself was down, so a silence is counted from its start at the earliest.
LIVING = """SELECT owner FROM stream.members WHERE service = $1
AND greatest(seen_at, pg_postmaster_start_time()) > now() - make_interval(secs => CASE WHEN EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint = hashtext(service) & 4294967295 AND objid::bigint = hashtext(owner) & 4294967295
) THEN $2::float8 ELSE $3::float8 END)"""

OWNERS = "SELECT number, owner FROM stream.ownership WHERE service = $1 AND kind = 'partition'"
GIVE_BACK = """UPDATE stream.ownership SET owner = NULL, leased_until = NULL
WHERE service = $1 AND kind = 'partition' AND number = ANY($3::integer[]) AND owner = $2"""


def share(members: Collection[str], me: str, partitions: int) -> range:
    """My even share of the partitions; the shares of all members are all partitions, each once."""
    names = sorted(members)
    place = names.index(me)
    return range(place * partitions // len(names), (place + 1) * partitions // len(names))


def holdings(mine: Collection[int], owners: Mapping[int, str | None], living: Collection[str], me: str) -> set[int]:
    """What of my share I may run now: what is mine already, is nobody's, or was a dead member's."""
    return {number for number in mine if (owner := owners.get(number)) is None or owner == me or owner not in living}


class Members:
    """Implements `Assignment`. `owner` is the name under which this process owns partitions."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], owner: str, partitions: int) -> None:
        self._connect = connect
        self._owner = owner
        self._partitions = partitions
        self._connection: Any = None
        self._wanted: set[int] = set()
        self._beaten = asyncio.Event()
        self._living = 0

    async def run(self, crew: Crew) -> None:
        async with asyncio.TaskGroup() as group:
            # Apart from the heartbeat, which must go on while a long step ends.
            group.create_task(self._hold(crew))
            try:
                while True:
                    await self._beat_if_possible(crew)
                    await asyncio.sleep(HEARTBEAT_SECONDS)
            finally:
                await self._leave(crew.service)

    async def _hold(self, crew: Crew) -> None:
        while True:
            await self._beaten.wait()
            self._beaten.clear()
            await crew.hold(self._wanted)

    async def _beat_if_possible(self, crew: Crew) -> None:
        """Without the database nothing is given back: nobody else can take anything either."""
        try:
            async with asyncio.timeout(STATEMENT_SECONDS_MAX):
                await self._beat(crew)
        except DATABASE_ERRORS as error:
            log.warning("heartbeat_missed", service=crew.service, kind=type(error).__name__)
            self._disconnect()

    async def _beat(self, crew: Crew) -> None:
        service, me = crew.service, self._owner
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
            await self._connection.execute(JOIN, service, me)
            await self._connection.execute(FORGET, service, LEASE_SECONDS)
        connection, owned = self._connection, crew.owned
        await connection.execute(BEAT, service, me)
        living = {row[0] for row in await connection.fetch(LIVING, service, LEASE_SECONDS, SESSION_LOST_SECONDS)}
        owners = {number: owner for number, owner in await connection.fetch(OWNERS, service)}
        mine = share(living | {me}, me, self._partitions)
        # A runner at rest doesn't notice that another took its partition, and gave it back: it ends, to begin anew.
        lost = {number for number in owned if owners.get(number) != me}
        self._wanted = holdings(mine, owners, living, me) - lost
        self._beaten.set()
        if len(living) != self._living:
            self._living = len(living)
            log.info("members_changed", service=service, members=len(living), share=list(mine))
        await self._give_back_what_nobody_runs(crew, owners)

    async def _give_back_what_nobody_runs(self, crew: Crew, owners: Mapping[int, str | None]) -> None:
        """A runner whose connection broke when it ended has left its partition in our name."""
        ours = {number for number, owner in owners.items() if owner == self._owner}
        if left := ours - crew.runners.keys() - self._wanted:
            await self._connection.execute(GIVE_BACK, crew.service, self._owner, sorted(left))

    async def _leave(self, service: str) -> None:
        """At a clean end the others need not wait for a lease."""
        connection = self._connection
        if connection is None or connection.is_closed():
            return
        try:
            await connection.execute(LEAVE, service, self._owner, timeout=STATEMENT_SECONDS_MAX)
            await connection.close(timeout=STATEMENT_SECONDS_MAX)
        except DATABASE_ERRORS:
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
