"""What stands in the schema `stream` before anything runs: the number of partitions, the topics, their counters."""

from collections.abc import Sequence
from typing import Any

from shared.errors import InvalidDocument
from shared.stream.log_claim import Names

PARTITIONS_MAX = 1_024


async def initialise(
    connection: Any, *, topics: Sequence[str], partitions: int | None, default: int
) -> tuple[int, Names]:
    """Fixes the number of partitions at the first start, checks it at every later one, and registers the topics.

    Raises InvalidDocument when `partitions` is given and differs from what the log was made with.
    """
    if partitions is not None and not 1 <= partitions <= PARTITIONS_MAX:
        raise InvalidDocument(f"ACCORD_PARTITIONS: found {partitions}, allowed 1 to {PARTITIONS_MAX}")
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('accord stream setup'))")
        stored = await connection.fetchval("SELECT value FROM stream.settings WHERE name = 'partitions'")
        if stored is None:
            stored = str(partitions or default)
            await connection.execute("INSERT INTO stream.settings (name, value) VALUES ('partitions', $1)", stored)
        count = int(stored)
        if partitions is not None and partitions != count:
            raise InvalidDocument(f"ACCORD_PARTITIONS: found {partitions}, but this log was made with {count} for good")
        await connection.execute(
            "INSERT INTO stream.topics (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING", list(topics)
        )
        await connection.execute(
            """INSERT INTO stream.offsets (topic_id, partition)
            SELECT topic_id, partition FROM stream.topics, generate_series(0, $1 - 1) AS partition
            ON CONFLICT DO NOTHING""",
            count,
        )
        rows = await connection.fetch("SELECT topic_id, name FROM stream.topics")
    return count, Names({row["name"]: row["topic_id"] for row in rows})


async def register_readers(connection: Any, readers: dict[str, tuple[str, ...]], partitions: int) -> None:
    """Gives every reader its positions before it first runs, so that nothing it must read is ever trimmed."""
    rows = [
        (service, number, topic)
        for service, topics in readers.items()
        for number in range(partitions)
        for topic in topics
    ]
    # Steps lock the rows of owners at work; a start must not wait for them, so it writes only what is missing.
    found = await connection.fetch(
        "SELECT service, number, jsonb_object_keys(positions) FROM stream.ownership WHERE kind = 'partition'"
    )
    missing = sorted(set(rows) - {tuple(row) for row in found})
    await connection.executemany(
        """INSERT INTO stream.ownership (service, kind, number, positions)
        VALUES ($1, 'partition', $2, jsonb_build_object($3::text, '[0, {}]'::jsonb))
        ON CONFLICT (service, kind, number)
        DO UPDATE SET positions = EXCLUDED.positions || stream.ownership.positions""",
        missing,
    )
