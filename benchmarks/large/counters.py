"""The log as it stands when everything on it was read and is old enough to be trimmed: empty, with its counters."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from shared.events.topics import READERS, TOPICS

Connection = Any
Emitted = Mapping[tuple[str, str, int], int]  # by service, topic and partition: the last number given

_EMITTERS = "INSERT INTO stream.emitters (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING"
_SEQUENCES = """INSERT INTO stream.sequences (emitter_id, topic_id, partition, seq)
SELECT e.emitter_id, t.topic_id, $3, $4 FROM stream.emitters e, stream.topics t WHERE e.name = $1 AND t.name = $2
ON CONFLICT (emitter_id, topic_id, partition) DO UPDATE SET seq = excluded.seq"""
_OFFSETS = """UPDATE stream.offsets SET first_offset = $3, next_offset = $3
WHERE partition = $2 AND topic_id = (SELECT topic_id FROM stream.topics WHERE name = $1)"""
_POSITIONS = """UPDATE stream.ownership SET positions = $3::jsonb
WHERE service = $1 AND kind = 'partition' AND number = $2"""


async def set_counters(connection: Connection, emitted: Emitted, partitions: int) -> None:
    """As if every service had read all of it. Ingest published through its first lane."""
    by_place: dict[tuple[str, int], dict[str, int]] = {
        (topic, partition): {} for topic in TOPICS for partition in range(partitions)
    }
    for (service, topic, partition), number in emitted.items():
        emitter = "ingest/0" if service == "ingest" else f"{service}/{partition}"
        by_place[topic, partition][emitter] = number
    await connection.execute("TRUNCATE stream.log")
    await connection.execute(_EMITTERS, sorted({name for numbers in by_place.values() for name in numbers}))
    for (topic, partition), numbers in by_place.items():
        await connection.execute(_OFFSETS, topic, partition, sum(numbers.values()))
        for emitter, number in numbers.items():
            await connection.execute(_SEQUENCES, emitter, topic, partition, number)
    for service, topics in READERS.items():
        for partition in range(partitions):
            places = {topic: by_place[topic, partition] for topic in topics}
            positions = {topic: [sum(numbers.values()), numbers] for topic, numbers in places.items()}
            await connection.execute(_POSITIONS, service, partition, to_json(positions).decode())
