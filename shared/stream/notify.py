"""Tells the other processes on this Postgres that something was committed, so that their readers look at once.

Notices go over a connection of their own after the commit: inside it they would make all commits wait for one lock. One
that is missed, or can't be sent, costs one poll of the reader. Where nobody else listens, none is sent.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from typing import Any, Final

import structlog

from shared.db.faults import DATABASE_ERRORS
from shared.stream.handover import Handover

log = structlog.get_logger()

# Commits of so short a time share a notice; a lone one is told at once.
GATHER_SECONDS: Final = 0.005
CHECK_SECONDS: Final = 10.0
RECONNECT_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)

# One channel for each topic, so that a process hears of those it reads and of no other.
NOTIFY = "SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS told(channel, payload)"
# A notice is worth no wait for the disk.
PREPARE = "SET synchronous_commit = off"

# Who listens holds a lock as long as its session lasts, and says so when it begins.
HELLO = "accord.listening"
HOLD = "SELECT pg_advisory_lock_shared(hashtext($1), 0)"
GREET = "SELECT pg_notify($1, '')"
ARE_THERE_OTHERS = """SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND classid::bigint = hashtext($1) & 4294967295 AND objid = 0 AND pid <> pg_backend_pid())"""


class Notifier:
    """Runs until cancelled. `topics` are those that this process reads."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], handover: Handover, topics: Collection[str]) -> None:
        self._connect = connect
        self._handover = handover
        self._topics = frozenset(topics)
        self._places: defaultdict[str, set[int]] = defaultdict(set)
        self._stirred = asyncio.Event()
        self._hellos = 0
        self._are_there_others = True
        self._check_at = 0.0

    def tell(self, places: Iterable[tuple[str, int]]) -> None:
        """This process has committed events on these (topic, partition)s. Returns at once."""
        if not self._are_there_others:
            return
        for topic, partition in places:
            self._places[topic].add(partition)
        self._stirred.set()

    async def run(self) -> None:
        failures = 0
        while True:
            connection = None
            try:
                connection = await self._connect()
                await self._listen(connection)
                failures = 0
                await self._send(connection)
            except DATABASE_ERRORS as error:
                failures += 1
                log.warning("notices_lost", kind=type(error).__name__, failures=failures)
            finally:
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS)) - 1])

    async def _listen(self, connection: Any) -> None:
        connection.add_termination_listener(lambda _: self._stirred.set())
        await connection.execute(PREPARE)
        await connection.add_listener(HELLO, self._meet)
        if self._topics:
            await connection.execute(HOLD, HELLO)
            for topic in sorted(self._topics):
                await connection.add_listener(topic, self._hear)
            await connection.execute(GREET, HELLO)
        # What was told while nobody listened.
        self._handover.written_elsewhere(None)
        self._check_at = 0.0

    async def _send(self, connection: Any) -> None:
        """Until the connection is lost, which is then raised."""
        while True:
            await self._look_around(connection)
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._stirred.wait()
            self._stirred.clear()
            if connection.is_closed():
                raise ConnectionResetError
            if self._places:
                places, self._places = self._places, defaultdict(set)
                payloads = [write(partitions) for partitions in places.values()]
                await connection.execute(NOTIFY, list(places), payloads)
                await asyncio.sleep(GATHER_SECONDS)

    async def _look_around(self, connection: Any) -> None:
        """Now and then; it also finds out that the other side of the connection is gone."""
        now = asyncio.get_running_loop().time()
        if now < self._check_at:
            return
        self._check_at = now + CHECK_SECONDS
        hellos = self._hellos
        are_there = await connection.fetchval(ARE_THERE_OTHERS, HELLO)
        # Who came while we looked may have been missed.
        self._are_there_others = are_there or self._hellos != hellos

    def _meet(self, connection: Any, sender_pid: int, channel: str, payload: str) -> None:
        if sender_pid != connection.get_server_pid():
            self._hellos += 1
            self._are_there_others = True

    def _hear(self, connection: Any, sender_pid: int, topic: str, payload: str) -> None:
        if sender_pid != connection.get_server_pid():
            partitions = read(payload)
            self._handover.written_elsewhere(
                None if partitions is None else [(topic, partition) for partition in partitions]
            )


def write(partitions: Collection[int]) -> str:
    """A payload. The most partitions there can be need 4,010 bytes of the 8,000 that Postgres allows."""
    return ",".join(map(str, sorted(partitions)))


def read(payload: str) -> list[int] | None:
    """What `write` wrote; None, which is anywhere, if something else did."""
    try:
        return [int(number) for number in payload.split(",")]
    except ValueError:
        return None
