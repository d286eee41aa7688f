"""`accord skip`: lets a partition go on without what is missing, once a person has seen what that is.

Missing are numbers of an emitter, or offsets that Kafka has no more. It refuses while what is missing is still here.
"""

import getpass
import socket
from dataclasses import dataclass
from typing import Any, Final

import structlog

from services.partitions import require_partition
from shared.db.connections import connect
from shared.errors import AccordError
from shared.stream.carrier import Missing
from shared.stream.kafka_client import KafkaClients
from shared.stream.kafka_places import Extent, extents
from shared.stream.operations import find_gap, move_offset, offsets_read, partitions_of, skip_gap

log = structlog.get_logger(component="skipping")

# In the log on Postgres, or waiting for Kafka.
STILL_HERE: Final = """SELECT count(*) FROM (
    SELECT emitter_id, topic_id, partition, seq FROM stream.log
    UNION ALL
    SELECT b.emitter_id, b.topic_id, b.partition, b.seq FROM stream.outbox b JOIN stream.emitters e USING (emitter_id)
    JOIN stream.ownership o ON o.service || '/' || o.number = e.name AND b.row_number > o.shipped_through) AS here
JOIN stream.topics t USING (topic_id) JOIN stream.emitters e USING (emitter_id)
WHERE partition = $1 AND (t.name, e.name) = ($2, $3) AND seq >= $4 AND seq < $5"""


class NothingToSkip(AccordError):
    """The partition doesn't wait for anything that is missing."""


class NotLost(AccordError):
    """What the partition waits for is still in the database."""


class Moved(AccordError):
    """The partition has moved meanwhile; look again."""


@dataclass(frozen=True)
class OutOfRange:
    """A topic that must be read from an offset which Kafka doesn't have."""

    topic: str
    offset: int
    there: Extent


@dataclass(frozen=True)
class Skipping:
    """One partition of one service; `clients` where the log is on Kafka."""

    database_url: str
    service: str
    partition: int
    clients: KafkaClients | None = None
    topic_prefix: str = ""

    async def look(self) -> Missing | OutOfRange:
        """What is missing. Raises NothingToSkip, NotLost when it must not be skipped, or NoSuchPartition."""
        connection = await connect(self.database_url, "accord-skip")
        try:
            return await self._look(connection)
        finally:
            connection.terminate()

    async def skip(self, missing: Missing | OutOfRange) -> None:
        """Gives up what is missing. Raises Moved when the partition waits for something else by now."""
        by = f"{getpass.getuser()}@{socket.gethostname()}"
        connection = await connect(self.database_url, "accord-skip")
        try:
            await self._look(connection)
            if not await self._pass(connection, missing, by):
                raise Moved
        finally:
            connection.terminate()
        log.warning("missing_skipped", service=self.service, partition=self.partition, by=by, missing=str(missing))

    def describe(self, missing: Missing | OutOfRange) -> str:
        """What stands before the choice, in words."""
        me = f"{self.service}/{self.partition}"
        if isinstance(missing, OutOfRange):
            return (
                f"{me} must read {missing.topic} from offset {missing.offset}, but Kafka has {missing.there.first} to "
                f"{missing.there.end}. It can read on from {missing.there.first}: what it has read already is dropped, "
                "and if events are missing there, it stops and says which."
            )
        count = missing.found - missing.expected
        return (
            f"{me} waits on {missing.topic} for {count} event{'s' * (count > 1)} of {missing.emitter}: numbers "
            f"{missing.expected} to {missing.found - 1}; the next that is there has number {missing.found}."
        )

    async def _look(self, connection: Any) -> Missing | OutOfRange:
        await require_partition(connection, self.service, self.partition)
        missing = await find_gap(connection, self.service, self.partition)
        if missing is None:
            out_of_range = await self._out_of_range(connection)
            if out_of_range is None:
                raise NothingToSkip(f"{self.service}/{self.partition} doesn't wait for anything that is missing")
            return out_of_range
        if count := await connection.fetchval(STILL_HERE, self.partition, *missing):
            raise NotLost(f"{count} of the missing events are still in the database and will come; don't skip them")
        return missing

    async def _out_of_range(self, connection: Any) -> OutOfRange | None:
        if self.clients is None:
            return None
        positions = await offsets_read(connection)  # before the ends, which move meanwhile
        there = await extents(self.clients, await partitions_of(connection), prefix=self.topic_prefix)
        for (service, partition, topic), offset in positions.items():
            at = there[topic, partition]
            if (service, partition) == (self.service, self.partition) and not at.first <= offset <= at.end:
                return OutOfRange(topic, offset, at)
        return None

    async def _pass(self, connection: Any, missing: Missing | OutOfRange, by: str) -> bool:
        if isinstance(missing, Missing):
            return await skip_gap(connection, self.service, self.partition, missing=missing, by=by)
        place = (self.service, self.partition, missing.topic)
        return await move_offset(connection, place, before=missing.offset, after=missing.there.first, by=by)
