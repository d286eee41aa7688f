"""What claiming costs Postgres: little, whatever it knows of the queue."""

import json
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid5

import asyncpg
import pytest
from sla_builders import NAMES

from services.delivery.store import claims

NOW: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
SUBSCRIPTION: Final = uuid5(NAMES, "claimed")
ROOM: Final = 300
# Such a claim looks at 1,200 rows and touches 8,000 pages; 700,000 if it searches the queue once for each of them.
PAGES_MAX: Final = 20_000

DUE: Final = """
INSERT INTO delivery.deliveries (lead_id, delivery_id, subscription_id, number, event_id, type, received_at,
    next_attempt_at, body)
SELECT gen_random_uuid(), gen_random_uuid(), $1, n, gen_random_uuid(), 'accord.lead.qualified', $2, $2, '{}'
FROM generate_series(1, 24000) AS n"""  # so many that the two indexes of the queue differ in height
DONE: Final = "UPDATE delivery.deliveries SET state = 'delivered', next_attempt_at = NULL"


async def _know(pool: asyncpg.Pool, known: str) -> None:
    """What Postgres knows of the queue before it is full. No vacuum comes along to teach it better."""
    await pool.execute("ALTER TABLE delivery.deliveries SET (autovacuum_enabled = off)")
    if known == "that everything was told":
        await pool.execute(DUE, SUBSCRIPTION, NOW)
        await pool.execute(DONE)
    if known != "nothing":
        await pool.execute("VACUUM ANALYZE delivery.deliveries")
    await pool.execute(DUE, SUBSCRIPTION, NOW)
    if known == "that it is full":
        await pool.execute("VACUUM ANALYZE delivery.deliveries")


@pytest.mark.parametrize("known", ["nothing", "that it is empty", "that everything was told", "that it is full"])
async def test_a_claim_reads_what_it_looks_at_and_no_more(pool: asyncpg.Pool, known: str) -> None:
    await _know(pool, known)
    asked = ([SUBSCRIPTION], [ROOM], NOW, NOW + timedelta(seconds=30))
    explained = await pool.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {claims.CLAIM}", *asked)
    ((found,),) = (json.loads(explained),)
    assert found["Plan"]["Actual Rows"] == ROOM
    assert found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"] <= PAGES_MAX, found
