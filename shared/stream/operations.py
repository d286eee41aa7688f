"""What an operator does to the stream from outside: let a stopped partition go on, let one in a gap go on without what
is missing, apply a dead letter again or give it up. Each is a row that the partition's owner finds by itself."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from shared.stream.carrier import Missing
from shared.stream.positions import from_json

GAPS = """SELECT g.service, g.partition, g.topic, g.emitter, g.expected_seq, g.found_seq FROM stream.gaps g
JOIN stream.ownership o ON (o.service, o.kind, o.number, o.epoch) = (g.service, 'partition', g.partition, g.epoch)
ORDER BY g.service, g.partition"""

# The owner's next commit finds other positions than its own, and reads them afresh.
SKIP = """UPDATE stream.ownership o
SET positions = jsonb_set(positions, ARRAY[$3, '1', $4], to_jsonb($6::bigint - 1))
FROM stream.gaps g WHERE o.service = $1 AND o.kind = 'partition' AND o.number = $2
AND (g.service, g.partition, g.epoch) = (o.service, o.number, o.epoch)
AND (g.topic, g.emitter, g.expected_seq, g.found_seq) = ($3, $4, $5, $6)
AND coalesce((o.positions #>> ARRAY[$3, '1', $4])::bigint, 0) = $5::bigint - 1"""

NOTE_SKIP = """INSERT INTO stream.skips (service, partition, topic, emitter, first_missing, last_missing, skipped_by)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""


OFFSETS = "SELECT service, number, positions FROM stream.ownership WHERE kind = 'partition' ORDER BY 1, 2"
NUMBERS = """SELECT e.name, t.name, s.partition, s.seq
FROM stream.sequences s JOIN stream.topics t USING (topic_id) JOIN stream.emitters e USING (emitter_id)"""

# As above; an offset is a place on the carrier only, the numbers go on deciding what was read.
MOVE = """UPDATE stream.ownership SET positions = jsonb_set(positions, ARRAY[$3, '0'], to_jsonb($5::bigint))
WHERE service = $1 AND kind = 'partition' AND number = $2 AND (positions #>> ARRAY[$3, '0'])::bigint = $4"""


async def partitions_of(connection: Any) -> int:
    """How many partitions this installation was made with."""
    return int(await connection.fetchval("SELECT value FROM stream.settings WHERE name = 'partitions'"))


async def offsets_read(connection: Any) -> Mapping[tuple[str, int, str], int]:
    """By service, partition and topic, what is to be read next."""
    return {
        (service, partition, topic): position.offset
        for service, partition, positions in await connection.fetch(OFFSETS)
        for topic, position in from_json(json.loads(positions)).items()
    }


async def numbers_given(connection: Any) -> Mapping[tuple[str, str, int], int]:
    """By emitter, topic and partition, the last number that was given."""
    return {(emitter, topic, partition): seq for emitter, topic, partition, seq in await connection.fetch(NUMBERS)}


async def resume_partition(connection: Any, service: str, partition: int) -> bool:
    """Ends a breaker's stop; False if this partition was not stopped. Its runner notices within a second."""
    status = await connection.execute(
        """UPDATE stream.ownership SET breaker = '{}' WHERE service = $1 AND kind = 'partition' AND number = $2
        AND (breaker ->> 'is_stopped')::boolean""",
        service,
        partition,
    )
    return bool(status == "UPDATE 1")


async def find_gap(connection: Any, service: str, partition: int) -> Missing | None:
    """What this partition waits for, as its owner wrote it down; a former owner's word doesn't count."""
    for of, number, *missing in await connection.fetch(GAPS):
        if (of, number) == (service, partition):
            return Missing(*missing)
    return None


async def skip_gap(connection: Any, service: str, partition: int, *, missing: Missing, by: str) -> bool:
    """Moves the position past what is missing and keeps a record of it; False if the partition doesn't wait for that
    any more. What is skipped is dropped as a duplicate should it come after all. Its runner notices within seconds."""
    async with connection.transaction():
        if await connection.execute(SKIP, service, partition, *missing) != "UPDATE 1":
            return False
        await connection.execute(
            NOTE_SKIP,
            service,
            partition,
            missing.topic,
            missing.emitter,
            missing.expected,
            missing.found - 1,
            by,
        )
        await connection.execute("DELETE FROM stream.gaps WHERE service = $1 AND partition = $2", service, partition)
    return True


async def move_offset(connection: Any, place: tuple[str, int, str], *, before: int, after: int, by: str) -> bool:
    """Has a service read a topic on from another offset; False if it doesn't stand there any more. What lay between is
    on record; if it was needed, the service finds a gap there."""
    service, partition, topic = place
    async with connection.transaction():
        if await connection.execute(MOVE, service, partition, topic, before, after) != "UPDATE 1":
            return False
        if after > before:
            await connection.execute(NOTE_SKIP, service, partition, topic, None, before, after - 1, by)
    return True


async def discard(connection: Any, letter_id: UUID) -> bool:
    """Gives a dead letter up for good; False if there is no such open letter."""
    status = await connection.execute(
        "UPDATE stream.dead_letters SET state = 'discarded' WHERE letter_id = $1 AND state = 'open'", letter_id
    )
    return bool(status == "UPDATE 1")


async def ask_replay(connection: Any, letter_id: UUID) -> bool:
    """Asks the owner of a dead letter's partition to apply it again; False if there is no such open letter."""
    status = await connection.execute(
        "UPDATE stream.dead_letters SET state = 'replaying' WHERE letter_id = $1 AND state = 'open'", letter_id
    )
    return bool(status == "UPDATE 1")
