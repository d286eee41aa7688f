"""No promise scans: each is counted of what an index gives."""

from typing import Any

import asyncpg
import pytest
from promise_house import PROMISES, at, document
from sqlalchemy import text

from services.api.store import promises as store
from services.api.store.database import Database
from shared.agreement.document_sla import Promise
from shared.agreement.loading import read_accord
from shared.agreement.promises import period_at
from shared.db.api_role import take_on_api_role
from shared.db.engine import create_engine

# A lead an hour for three years, each with one activity, what it was granted, and one entry by an action.
MANY = """
INSERT INTO scoring.leads (lead_id, engagement, fit, grade, state, partition, accord)
    SELECT md5(n::text)::uuid, 0, 0, 'D', '[]', 0, 1 FROM generate_series(1, 26000) AS n;
INSERT INTO scoring.history
    SELECT md5(n::text)::uuid, md5('e' || n)::uuid, 1, 'activity', timestamptz '2026-01-01' + n * interval '1 h', '{}'
    FROM generate_series(1, 26000) AS n;
INSERT INTO scoring.grants
    SELECT lead_id, event_id, received_at, received_at, 1, 0, 1, 'x', 'x' FROM scoring.history;
INSERT INTO stages.transitions
    SELECT lead_id, 1, md5('t' || event_id)::uuid, event_id, received_at, 'lead', 'opportunity', 'x', 'won', false
    FROM scoring.history;
INSERT INTO stages.history SELECT lead_id, event_id, 1, received_at, '{}' FROM scoring.history"""
TABLES = ("scoring.leads", "scoring.history", "scoring.grants", "stages.transitions", "stages.history")


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: str(promise["id"]))
async def test_no_promise_scans(pool: asyncpg.Pool, database_url: str, promise: dict[str, Any]) -> None:
    await pool.execute(MANY)
    for table in TABLES:
        await pool.execute(f"VACUUM (ANALYZE) {table}")
    one = by_id(promise["id"])
    period = period_at("week", at("2028-06-01T12:00"), read_accord(document()).calendar.business_calendar().zone)
    lead_ids = [row[0] for row in await pool.fetch("SELECT lead_id FROM scoring.leads LIMIT 500")]
    of_leads = {"lead_ids": lead_ids}
    statements = [store.tally(one, period, currency="USD", chosen=chosen) for chosen in (None, lead_ids)]
    statements += [(statement, of_leads) for statement in (store.VERSIONS, store.INPUTS)]
    statements += [(store.GRANTS, of_leads | {"accords": [1] * len(lead_ids)})]
    engine = create_engine(database_url, init=take_on_api_role)
    for statement, values in statements:
        rows = await Database(engine).rows(text(f"EXPLAIN {statement}").bindparams(**values))
        plan = "\n".join(row["QUERY PLAN"] for row in rows)
        for table in ("leads", "history", "grants", "transitions"):
            assert f"Seq Scan on {table}" not in plan, (statement, plan)
    await engine.dispose()


def by_id(promise_id: str) -> Promise:
    return next(one for one in read_accord(document()).sla.promises if one.id == promise_id)
