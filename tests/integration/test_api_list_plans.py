"""No list of leads scans, whatever it is narrowed to and sorted by, nor does what brings leads there."""

import re
from typing import Any

import asyncpg
from line_builders import START, example_accord
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from services.api.store import leads as store
from services.api.store.database import Database
from services.api.store.lists import ListStore
from services.api.store.rollup import TABLES
from services.api.store.trends import TrendStore
from shared.db.api_role import take_on_api_role
from shared.db.engine import create_engine

# The same rows each time: what a search does depends on how many of them have what is sought ("ab": 0.4 %).
MANY = """INSERT INTO api.lead_index
    SELECT md5(n::text)::uuid, n * 7919 % 10007 / 100.07, n * 7907 % 10007 / 100.07, now() - n * interval '1 s',
        CASE n % 50 WHEN 0 THEN now() + n * interval '1 s' ELSE '9999-01-01' END,
        CASE n % 100 WHEN 0 THEN 'mql' ELSE 'lead' END, (ARRAY['A', 'B', 'C', 'D'])[1 + n % 4],
        CASE n % 100 WHEN 0 THEN 'rep' || n % 700 END, 'source ' || n % 300, 'source ' || n % 300
    FROM generate_series(1, 30000) AS n;
    INSERT INTO api.lead_words SELECT lead_id, ' ' || md5(lead_id::text) || '@acme.example' FROM api.lead_index;
    SELECT gin_clean_pending_list('api.ix_lead_words_words'); -- as autovacuum does
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
    {"q": "ab12cd@acme"},
    {"q": "acme"},
    {"q": "ab"},
    {"q": "ab12cd", "owner": "rep100", "stage": "mql"},
    {"stage": "mql", "grade": "A", "min_engagement": 50.0},
)


async def test_no_list_scans(pool: asyncpg.Pool, database_url: str) -> None:
    await pool.execute(MANY)
    asked: list[str] = []
    engine = create_engine(database_url, init=take_on_api_role)

    class Noting(Database):
        async def rows(self, statement: Any, values: Any = None) -> list[Any]:
            dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
            asked.append(str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})))
            return []

    leads = store.LeadStore(Noting(engine))
    for wanted in FILTERS:
        for sort in store.KEY_TYPES:
            await leads.page(store.LeadFilter(**wanted), sort, None, 51)  # type: ignore[arg-type]
    for statement in asked:
        page = re.split(r"\)\s*SELECT", statement.partition("AS \n(")[2])[0]
        plan = "\n".join(row[0] for row in await pool.fetch(f"EXPLAIN {page}"))
        assert "Seq Scan on lead_index" not in plan, (page, plan)
        assert "Seq Scan on lead_words" not in plan, (page, plan)
        if "ab12cd" in page:
            assert "ix_lead_words_words" in plan, (page, plan)
    await engine.dispose()


LOG = """INSERT INTO stream.emitters (name) VALUES ('scoring/0');
    INSERT INTO stream.topics (name) VALUES ('accord.score.v1'), ('accord.lifecycle.v1'), ('accord.sla.v1');
    INSERT INTO stream.log (topic_id, partition, log_offset, emitter_id, seq, event_id, type, key, occurred_at,
        received_at, value)
    SELECT topic_id, partition, n, emitter_id, n, gen_random_uuid(), 'accord.score.changed', gen_random_uuid(), now(),
        now(), 'some value'
    FROM stream.emitters, stream.topics, generate_series(0, 3) AS partition, generate_series(0, 2999) AS n;
    INSERT INTO stream.offsets (topic_id, partition, next_offset)
    SELECT topic_id, partition, 3000 FROM stream.topics, generate_series(0, 3) AS partition
    ON CONFLICT (topic_id, partition) DO UPDATE SET next_offset = 3000;
    INSERT INTO api.list_places SELECT place, number, partition, 2990 FROM stream.published_places;
    ANALYZE stream.log"""
SCANS = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relid = 'stream.log'::regclass"


async def test_a_look_at_the_end_of_a_long_log_does_not_read_all_of_it(database_url: str, pool: asyncpg.Pool) -> None:
    await pool.execute(LOG)
    engine = create_engine(database_url, init=take_on_api_role)
    lists = ListStore(Database(engine))
    async with lists.database.transaction() as connection:
        told = await lists.told_of(connection)
        scans = (await connection.execute(text(SCANS))).scalar()
    assert len(told.lead_ids) == 3 * 4 * 10
    assert scans == 0
    await engine.dispose()


# As it is soon after a start: what Postgres knows of the histories is of a time when there were few.
BEGAN = """INSERT INTO scoring.history (lead_id, event_id, number, kind, received_at, body)
    SELECT md5(lead::text)::uuid, gen_random_uuid(), number, 'activity', now(), repeat('x', 300)::bytea
    FROM generate_series({first}, {last}) AS lead, generate_series(1, 12) AS number"""


async def test_when_a_lead_began_is_found_without_going_through_all_leads(pool: asyncpg.Pool) -> None:
    await pool.execute(BEGAN.format(first=1, last=150))
    await pool.execute("ANALYZE scoring.history")
    await pool.execute(BEGAN.format(first=151, last=3_000))
    (leads,) = [table.statement for table in TABLES if table.name == "report_leads"]
    some = [row[0] for row in await pool.fetch("SELECT lead_id FROM scoring.history LIMIT 100")]
    plan = [row[0] for row in await pool.fetch(f"EXPLAIN {leads.replace(':lead_ids', '$1')}", some)]
    reads = [line.strip() for line in plan if "scoring" in line or " on history" in line or "pk_history" in line]
    assert any("pk_history" in line for line in reads), reads
    assert not any("ix_history_received_at_lead_id" in line for line in reads), reads


GRANTED = """INSERT INTO scoring.history (lead_id, event_id, number, kind, received_at, body, granted)
    SELECT md5((n / 10)::text)::uuid, gen_random_uuid(), 1 + n % 10, 'activity', now(), 'x',
        '[1, 1790000000000000, "page.viewed", [["pricing", 5, 0, null]]]'
    FROM generate_series(1, 20000) AS n;
    ANALYZE scoring.history"""


async def test_the_trends_of_a_page_of_leads_do_not_read_what_was_granted_to_all(
    pool: asyncpg.Pool, database_url: str
) -> None:
    await pool.execute(GRANTED)
    engine = create_engine(database_url, init=take_on_api_role)
    plans: list[str] = []

    class Explaining(Database):
        async def rows(self, statement: Any, values: Any = None) -> list[Any]:
            assert values is None
            explained = text(f"EXPLAIN {statement}").bindparams(**statement.compile().params)
            plans.extend(row["QUERY PLAN"] for row in await super().rows(explained))
            return []

    leads = [row[0] for row in await pool.fetch("SELECT DISTINCT lead_id FROM scoring.history LIMIT 50")]
    await TrendStore(Explaining(engine)).worths(dict.fromkeys(leads, example_accord()), 90, START)
    plan = "\n".join(plans)
    assert "pk_history" in plan
    assert "Seq Scan on history" not in plan, plan
    await engine.dispose()
