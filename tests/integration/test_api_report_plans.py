"""No report scans what was rolled up: each reads of an index what lies in its period; nor does what keeps it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from services.api.store.attribution import attributed, first_contact
from services.api.store.database import Database
from services.api.store.funnel import funnel
from services.api.store.periods import Period
from services.api.store.rolled import KEPT
from services.api.store.rollup import TABLES as ROLLED
from shared.db.api_role import take_on_api_role
from shared.db.engine import create_engine

# A lead a quarter of an hour, for ten months.
MANY = """
INSERT INTO api.report_names SELECT md5(n::text)::uuid, n::text FROM generate_series(0, 99) AS n;
INSERT INTO api.report_leads
    SELECT md5(n::text)::uuid, timestamptz '2026-01-01' + n * interval '15 min',
        CASE WHEN n % 10 = 0 THEN timestamptz '2026-01-02' + n * interval '15 min' END,
        md5((n % 5)::text)::uuid, md5((n % 12)::text)::uuid FROM generate_series(1, 30000) AS n;
INSERT INTO api.report_days
    SELECT (began_at AT TIME ZONE 'UTC')::date, source, campaign, count(*) FROM api.report_leads GROUP BY 1, 2, 3;
INSERT INTO api.report_entries
    SELECT lead_id, 1, (ARRAY['mql', 'sal', 'sql'])[1 + n % 3], began_at + interval '1 day', NULL, n % 20 > 0, false,
        NULL, md5((n % 60)::text)::uuid, source, campaign
    FROM (SELECT *, row_number() OVER () AS n FROM api.report_leads) AS l;
INSERT INTO api.report_touches
    SELECT lead_id, version, kind, CASE kind WHEN 'source' THEN source ELSE campaign END, stage, entered_at, NULL, NULL,
        1, 2, true, false
    FROM api.report_entries, (VALUES ('source'), ('campaign')) AS of (kind)"""
TABLES = ("names", "leads", "days", "entries", "touches")


def statements(period: Period) -> Iterator[tuple[str, dict[str, Any]]]:
    bounds = {"since": period.since, "until": period.until}
    for by in (None, "source", "campaign", "owner", "week"):
        yield funnel(KEPT, period, by)
    for model in ("first", "last", "linear"):
        yield attributed(KEPT, period, "source", model)
    yield first_contact(KEPT, of_owner=True), {**bounds, "owner": "7"}


@pytest.mark.parametrize("days", [1, 30])
async def test_no_report_scans(pool: asyncpg.Pool, database_url: str, days: int) -> None:
    await pool.execute(MANY)
    for table in TABLES:
        await pool.execute(f"VACUUM (ANALYZE) api.report_{table}")
    engine = create_engine(database_url, init=take_on_api_role)
    database = Database(engine)
    since = datetime.fromisoformat("2026-06-01T03:04:05Z")
    lead_ids = {"lead_ids": [row[0] for row in await pool.fetch("SELECT lead_id FROM api.report_leads LIMIT 500")]}
    kept = [(table.statement, lead_ids) for table in ROLLED]
    for statement, values in (*statements(Period(since, since + timedelta(days=days), "America/New_York")), *kept):
        rows = await database.rows(text(f"EXPLAIN {statement}").bindparams(**values))
        plan = "\n".join(row["QUERY PLAN"] for row in rows)
        assert "report_" in plan
        for table in ("leads", "entries", "touches"):
            assert f"Seq Scan on report_{table}" not in plan, (statement, plan)
    await engine.dispose()


async def test_a_lead_is_looked_up_by_its_id_before_there_are_statistics(pool: asyncpg.Pool, database_url: str) -> None:
    await pool.execute(MANY)
    engine = create_engine(database_url, init=take_on_api_role)
    lead_ids = {"lead_ids": [row[0] for row in await pool.fetch("SELECT lead_id FROM api.report_leads LIMIT 500")]}
    explained = text(f"EXPLAIN {ROLLED[0].statement}").bindparams(**lead_ids)
    plan = "\n".join(row["QUERY PLAN"] for row in await Database(engine).rows(explained))
    assert "ix_report_leads_lead_id" in plan
    assert "ix_report_leads_began_at" not in plan
    await engine.dispose()
