"""`accord skip`: lets a partition in a gap go on without what is missing, once a person has seen what that is.

The only command that gives events up. It refuses while what is missing still waits to be sent.
"""

import getpass
import socket
from typing import Any, Final

import structlog

from shared.db.engine import connect
from shared.errors import AccordError
from shared.stream.carrier import Missing
from shared.stream.operations import find_gap, skip_gap

log = structlog.get_logger(component="skipping")

STILL_HERE: Final = """SELECT count(*) FROM stream.log
JOIN stream.topics t USING (topic_id) JOIN stream.emitters e USING (emitter_id)
WHERE partition = $1 AND (t.name, e.name) = ($2, $3) AND seq >= $4 AND seq < $5"""


class NoGap(AccordError):
    """The partition doesn't wait for missing events."""


class NotLost(AccordError):
    """What the partition waits for is still in the database."""


class Moved(AccordError):
    """The partition has moved meanwhile; look again."""


async def look(database_url: str, service: str, partition: int) -> Missing:
    """What the partition waits for. Raises NoGap, or NotLost when it must not be skipped."""
    connection = await _connect(database_url)
    try:
        return await _look(connection, service, partition)
    finally:
        connection.terminate()


async def skip(database_url: str, service: str, partition: int, missing: Missing) -> None:
    """Gives up what is missing. Raises Moved when the partition waits for something else by now."""
    connection = await _connect(database_url)
    try:
        await _look(connection, service, partition)
        by = f"{getpass.getuser()}@{socket.gethostname()}"
        if not await skip_gap(connection, service, partition, missing=missing, by=by):
            raise Moved
    finally:
        connection.terminate()
    log.warning("gap_skipped", service=service, partition=partition, by=by, **missing._asdict())


def describe(service: str, partition: int, missing: Missing) -> str:
    """What stands before the choice, in words."""
    count = missing.found - missing.expected
    return (
        f"{service}/{partition} waits on {missing.topic} for {count} event{'s' * (count > 1)} of {missing.emitter}: "
        f"numbers {missing.expected} to {missing.found - 1}; the next that is there has number {missing.found}."
    )


async def _look(connection: Any, service: str, partition: int) -> Missing:
    missing = await find_gap(connection, service, partition)
    if missing is None:
        raise NoGap(f"{service}/{partition} doesn't wait for missing events; nothing to skip")
    if count := await connection.fetchval(STILL_HERE, partition, *missing):
        raise NotLost(f"{count} of the missing events are still in the log and will be read; don't skip them")
    return missing


async def _connect(database_url: str) -> Any:
    return await connect(database_url, "accord-skip")
