"""The ceiling: one COPY, on the same Postgres, of the very rows that the line has just written to scoring's history."""

import time
from typing import Any

_TABLE = "history"
_SCHEMA = "bench_ceiling"


async def measure_ceiling(connection: Any, activities: int) -> float:
    """Rows a second, into a fresh table of the same shape."""
    rows = await connection.fetch("SELECT * FROM scoring.history WHERE kind = 'activity' LIMIT $1", activities)
    await connection.execute(f"CREATE SCHEMA {_SCHEMA}")
    try:
        await connection.execute(f"CREATE TABLE {_SCHEMA}.{_TABLE} (LIKE scoring.history INCLUDING ALL)")
        columns, records = list(rows[0].keys()), [tuple(row) for row in rows]
        started_at = time.monotonic()
        await connection.copy_records_to_table(_TABLE, schema_name=_SCHEMA, columns=columns, records=records)
        return len(records) / (time.monotonic() - started_at)
    finally:
        await connection.execute(f"DROP SCHEMA {_SCHEMA} CASCADE")
