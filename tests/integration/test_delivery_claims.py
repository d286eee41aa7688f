"""What claiming costs Postgres: little, whatever it knows of the queue."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid5

import asyncpg
import pytest
from sla_builders import NAMES

from services.delivery.store import claims

NOW: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
SUBSCRIPTION: Final = uuid5(NAMES, "claimed")
ROOM: Final = 300
LEASE: Final = timedelta(seconds=30)
# Such a claim touches 4,000 pages; 7,000,000 if it searches the queue once for each of its rows.
PAGES_MAX: Final = 10_000

DUE: Final = """
INSERT INTO delivery.deliveries (lead_id, delivery_id, subscription_id, number, event_id, type, received_at,
    next_attempt_at, body)
SELECT gen_random_uuid(), gen_random_uuid(), $1, n, gen_random_uuid(), 'accord.lead.qualified', $2, $2, '{}'
FROM generate_series(1, 24000) AS n"""  # so many that the two indexes of the queue differ in height
OF_LEAD: Final = """
INSERT INTO delivery.deliveries (lead_id, delivery_id, subscription_id, number, event_id, type, received_at,
    next_attempt_at, body)
SELECT $3, gen_random_uuid(), $1, n, gen_random_uuid(), 'accord.lead.qualified', $2, $2, '{}'
FROM generate_series($4::integer, $5::integer) AS n"""
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
    asked = ([SUBSCRIPTION], [ROOM], NOW)
    await _reads_little(pool, claims.PUT_OFF, *asked)
    plan = await _reads_little(pool, claims.CLAIM, *asked, NOW + LEASE)
    assert plan["Actual Rows"] == ROOM


async def test_what_waits_for_a_retry_is_put_off_and_no_longer_hides_what_is_due(pool: asyncpg.Pool) -> None:
    retried, other, retry_at = uuid5(NAMES, "retried"), uuid5(NAMES, "other"), NOW + timedelta(seconds=20)
    await pool.execute(OF_LEAD, SUBSCRIPTION, NOW, retried, 1, 100)
    await pool.execute("UPDATE delivery.deliveries SET attempts = 1, next_attempt_at = $1 WHERE number = 1", retry_at)
    await pool.execute(OF_LEAD, SUBSCRIPTION, NOW, other, 101, 101)
    room = {SUBSCRIPTION: 10}
    assert await claims.claim(pool, room, now=NOW, lease=LEASE) == []
    await claims.put_off(pool, room, now=NOW)
    await claims.put_off(pool, room, now=NOW)
    (claimed,) = await claims.claim(pool, room, now=NOW, lease=LEASE)
    assert claimed.lead_id == other
    again = await claims.claim(pool, room, now=retry_at, lease=LEASE)
    assert [one.number for one in again] == [1]


async def _reads_little(pool: asyncpg.Pool, statement: str, *asked: Any) -> dict[str, Any]:
    """The plan of a statement, which it carries out."""
    explained = await pool.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *asked)
    ((found,),) = (json.loads(explained),)
    plan: dict[str, Any] = found["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= PAGES_MAX, found
    return plan
