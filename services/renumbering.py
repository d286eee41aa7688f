"""`accord renumber`: after Postgres was restored to a time before the last events on Kafka, numbers go on after those.

Otherwise numbers would be given twice, and readers would drop what has them as duplicates. What lies on Kafka and was
forgotten by Postgres is then read as if it came now.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from shared.db.connections import connect
from shared.errors import AccordError
from shared.stream.kafka_client import KafkaClients
from shared.stream.kafka_places import Extent, extents, last_numbers
from shared.stream.operations import numbers_given, offsets_read, partitions_of

OWNERS: Final = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name ~ '^accord-(owner|lane) '"""
EMITTERS: Final = "INSERT INTO stream.emitters (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING"
RAISE: Final = """INSERT INTO stream.sequences (emitter_id, topic_id, partition, seq)
SELECT e.emitter_id, t.topic_id, w.partition, w.seq
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[]) AS w(emitter, topic, partition, seq)
JOIN stream.emitters e ON e.name = w.emitter JOIN stream.topics t ON t.name = w.topic
ON CONFLICT (emitter_id, topic_id, partition) DO UPDATE SET seq = greatest(stream.sequences.seq, EXCLUDED.seq)"""


class StillRunning(AccordError):
    """Processes of Accord are running: stop them all, then renumber."""


class Ahead(NamedTuple):
    """What an emitter sent to Kafka and Postgres knows nothing of: the numbers after `given` up to `found`."""

    given: int
    found: int


async def renumber(
    database_url: str, clients: KafkaClients, *, prefix: str = "", carry_out: bool
) -> Mapping[tuple[str, str, int], Ahead]:
    """Compares, and if it shall be carried out raises what was given. Raises StillRunning while anything runs."""
    connection = await connect(database_url, "accord-renumber")
    try:
        if await connection.fetchval(OWNERS):
            raise StillRunning
        ahead = await _compare(connection, clients, prefix)
        if carry_out and ahead:
            names, topics, partitions = zip(*ahead, strict=True)
            async with connection.transaction():
                await connection.execute(EMITTERS, sorted(set(names)))
                await connection.execute(RAISE, names, topics, partitions, [one.found for one in ahead.values()])
        return ahead
    finally:
        connection.terminate()


async def _compare(connection: Any, clients: KafkaClients, prefix: str) -> Mapping[tuple[str, str, int], Ahead]:
    there = dict(await extents(clients, await partitions_of(connection), prefix=prefix))
    # What was sent after the backup lies behind all that had been read by then.
    for (_, partition, topic), offset in (await offsets_read(connection)).items():
        first, end = there[topic, partition]
        there[topic, partition] = Extent(min(max(first, offset), end), end)
    given = await numbers_given(connection)
    found = await last_numbers(clients, there, prefix=prefix)
    return {of: Ahead(given.get(of, 0), seq) for of, seq in sorted(found.items()) if seq > given.get(of, 0)}
