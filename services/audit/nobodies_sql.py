"""SQL of what remains of erased leads (ADR 21): rows of nobody, whose ids stand nowhere else. Like line_sql: a sentence
per difference."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from services.audit.findings import Check
from services.audit.line_sql import Statement

# Every table of the house with the columns that ids may stand in, but those that reports are counted from.
TABLES: Final = """SELECT table_schema || '.' || table_name AS name,
    array_agg(column_name::text ORDER BY column_name) AS ids
FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_type = 'BASE TABLE' AND data_type = 'uuid' AND table_schema IN (
        'stream', 'ingest', 'scoring', 'stages', 'sla', 'delivery', 'api')
    AND NOT (table_schema = 'api' AND (starts_with(table_name, 'nobod') OR starts_with(table_name, 'report_')))
GROUP BY 1 ORDER BY 1"""

_COUNT: Final = "SELECT count(*) FROM api.nobodies"
_PARTS: Final = ("entries", "touches", "clocks")
_ORPHANS: Final = " UNION ALL ".join(
    f"""SELECT DISTINCT format('api.nobody_{part}: nobody %s has rows here, and is not in api.nobodies', nobody_id)
FROM api.nobody_{part} AS p WHERE NOT EXISTS (SELECT FROM api.nobodies AS n WHERE n.nobody_id = p.nobody_id)"""
    for part in _PARTS
)


def statements(tables: Sequence[Mapping[str, Any]]) -> Iterator[Statement]:
    """The checks; `tables` are what `TABLES` gives."""
    yield Statement(Check.NOBODIES, _ORPHANS, _COUNT)
    for table in tables:
        yield Statement(Check.NOBODIES, _known(table["name"], table["ids"]))


def _known(table: str, columns: Sequence[str]) -> str:
    """Whom another table knows is somebody. Without erased leads nothing is read."""
    of_nobody = " OR ".join(f"{column} IN (SELECT nobody_id FROM api.nobodies)" for column in columns)
    return f"""SELECT format('{table}: %s row(s) have an id that remains of an erased lead', count(*)) FROM {table}
WHERE EXISTS (SELECT FROM api.nobodies) AND ({of_nobody}) HAVING count(*) > 0"""
