"""Rows into Postgres by COPY: first into plain tables beside those of the services, by several processes at once; then
each table sorted into its place, as it would lie there had it been written as time went by."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import asyncpg

from benchmarks.large.rows import TABLES, Table

Connection = Any  # asyncpg ships no types

# What sorting and building indexes may take; and WAL only for what must survive a crash of this build: nothing.
POSTGRES: Final[Mapping[str, str]] = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "16GB",
    "maintenance_work_mem": "512MB",
    "work_mem": "256MB",
    "synchronous_commit": "off",
}
_INDEXES: Final = """SELECT i.indexrelid::regclass::text AS index, pg_get_indexdef(i.indexrelid) AS definition,
    c.conname AS constraint_name, pg_get_constraintdef(c.oid) AS constraint_definition
FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid
WHERE i.indrelid = $1::regclass ORDER BY c.conname NULLS LAST, i.indexrelid"""
# Crowds count apart what all of them add to.
_SUMMED: Final = {
    "stages.loads": "SELECT owner, day, sum(leads) FROM {staged} GROUP BY owner, day ORDER BY day",
    "stages.turns": "SELECT team, max(turn) FROM {staged} GROUP BY team ORDER BY team",
}
# A delivery has its event's number.
_DELIVERIES: Final = "delivery.deliveries"
_HORIZONS: Final = """INSERT INTO delivery.horizons (partition, forgotten_through)
SELECT partition, max(number) FROM delivery.events WHERE body IS NULL GROUP BY partition"""


def staged_name(table: str) -> str:
    return "bench." + table.replace(".", "_")


async def make_staging(connection: Connection) -> None:
    """Empty tables for the copies."""
    await connection.execute("DROP SCHEMA IF EXISTS bench CASCADE; CREATE SCHEMA bench")
    for table in TABLES.values():
        columns = ", ".join(table.columns)
        await connection.execute(
            f"CREATE UNLOGGED TABLE {staged_name(table.name)} AS SELECT {columns} FROM {table.name} WITH NO DATA"
        )


async def copy(connection: Connection, rows: Iterable[tuple[str, Sequence[Sequence[Any]]]]) -> None:
    """Adds rows to the staged tables."""
    for name, records in rows:
        if records:
            await connection.copy_records_to_table(
                staged_name(name).removeprefix("bench."),
                schema_name="bench",
                columns=TABLES[name].columns,
                records=records,
            )


async def settle(database_url: str, at_once: int = 2) -> None:
    """Everything from the staged tables into its place; deliveries after the events that they take numbers from."""
    waiting = [table for table in TABLES.values() if table.name != _DELIVERIES]

    async def work() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            while waiting:
                await _settle(connection, waiting.pop(0))
        finally:
            await connection.close()

    waiting.sort(key=lambda table: not table.name.endswith("history"))  # the large ones first
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    connection = await asyncpg.connect(database_url)
    try:
        await _settle(connection, TABLES[_DELIVERIES])
        await connection.execute(_HORIZONS)
        await connection.execute("DROP SCHEMA bench CASCADE")
        # Beside other work a row is not yet seen by all, and each read of an index would look at its table too.
        await connection.execute(f"VACUUM (FREEZE) {', '.join(TABLES)}")
    finally:
        await connection.close()


async def _settle(connection: Connection, table: Table) -> None:
    async with connection.transaction():
        indexes = await connection.fetch(_INDEXES, table.name)
        await connection.execute(f"TRUNCATE {table.name}")
        for row in indexes:
            if row["constraint_name"]:
                await connection.execute(f"ALTER TABLE {table.name} DROP CONSTRAINT {row['constraint_name']}")
            else:
                await connection.execute(f"DROP INDEX {row['index']}")
        await connection.execute(_insert(table))
        for row in indexes:
            if row["constraint_name"]:
                added = f"{row['constraint_name']} {row['constraint_definition']}"
                await connection.execute(f"ALTER TABLE {table.name} ADD CONSTRAINT {added}")
            else:
                await connection.execute(row["definition"])
        await connection.execute(f"DROP TABLE {staged_name(table.name)}")
        await connection.execute(f"ANALYZE {table.name}")


def _insert(table: Table) -> str:
    staged, columns = staged_name(table.name), ", ".join(table.columns)
    if table.name in _SUMMED:
        return f"INSERT INTO {table.name} ({columns}) {_SUMMED[table.name].format(staged=staged)}"
    if table.name == _DELIVERIES:
        mine = ", ".join(f"d.{column}" for column in table.columns)
        return f"""INSERT INTO {table.name} (number, {columns}) SELECT e.number, {mine} FROM {staged} AS d
            JOIN delivery.events AS e USING (lead_id, event_id) ORDER BY e.number"""
    return f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {staged} ORDER BY {table.order}"
