"""Where a text stands in the tables of a house."""

import asyncpg

TABLES = """SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"""


async def where_it_stands(pool: asyncpg.Pool, *texts: str) -> set[str]:
    """Every table in which one of these texts stands, in text or in bytes."""
    found = set()
    for (table,) in await pool.fetch(TABLES):
        rows = await pool.fetch(f"SELECT t::text FROM {table} AS t")
        for (row,) in rows:
            if any(text in row or text.encode().hex() in row for text in texts):
                found.add(table)
    return found
