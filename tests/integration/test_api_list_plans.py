"""No list of leads scans, whatever it is narrowed to and sorted by."""

import re
from typing import Any

import asyncpg
from sqlalchemy.dialects import postgresql

from services.api.store import leads as store

MANY = """INSERT INTO api.lead_index
    SELECT gen_random_uuid(), random() * 100, random() * 100, now() - n * interval '1 s',
        CASE n % 50 WHEN 0 THEN now() + n * interval '1 s' ELSE '9999-01-01' END,
        CASE n % 100 WHEN 0 THEN 'mql' ELSE 'lead' END, (ARRAY['A', 'B', 'C', 'D'])[1 + n % 4],
        CASE n % 100 WHEN 0 THEN 'rep' || n % 700 END, 'source ' || n % 300, 'source ' || n % 300
    FROM generate_series(1, 30000) AS n;
    INSERT INTO api.lead_words SELECT lead_id, ' ' || md5(lead_id::text) || '@acme.example' FROM api.lead_index;
    ANALYZE api.lead_index; ANALYZE api.lead_words"""
FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"stage": "mql"},
    {"stage": "lead"},
    {"grade": "A"},
    {"owner": "rep100"},
    {"source": "source 7"},
    {"min_engagement": 99.0},
    {"q": "ab12cd"},
    {"stage": "mql", "grade": "A", "min_engagement": 50.0},
)


async def test_no_list_scans(pool: asyncpg.Pool, database_url: str) -> None:
    await pool.execute(MANY)
    asked: list[str] = []

    class Noting:
        async def rows(self, statement: Any) -> list[Any]:
            dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
            asked.append(str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})))
            return []

    leads = store.LeadStore(Noting())  # type: ignore[arg-type]
    for wanted in FILTERS:
        for sort in store.KEY_TYPES:
            await leads.page(store.LeadFilter(**wanted), sort, None, 51)  # type: ignore[arg-type]
    for statement in asked:
        page = re.split(r"\)\s*SELECT", statement.partition("AS \n(")[2])[0]
        plan = "\n".join(row[0] for row in await pool.fetch(f"EXPLAIN {page}"))
        assert "Seq Scan on lead_index" not in plan, (page, plan)
        assert "Seq Scan on lead_words" not in plan, (page, plan)
