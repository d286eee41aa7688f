"""What lists look at: rows of the log or of the outbox, so many at a time."""

from uuid import UUID, uuid5

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from services.api.metrics import Metrics
from services.api.store import lists as store
from services.api.store.database import Database
from services.api.store.lists import ListStore
from services.api.sweeper import lists as sweeper
from shared.agreement.versions import Accords
from shared.clock import SystemClock
from shared.db.api_role import take_on_api_role
from shared.db.engine import create_engine

OUTBOX = """INSERT INTO stream.outbox (emitter_id, row_number, topic_id, partition, seq, event_id, key, occurred_at,
        received_at, type, value)
    SELECT emitter_id, n, 1, 0, n, gen_random_uuid(), $1, now(), now(), 'accord.score.changed', '' FROM stream.emitters,
        generate_series($2::bigint, $3::bigint) AS n"""


async def test_a_look_says_how_many_events_it_leaves_to_the_next(
    database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "EVENTS_MAX", 2)
    lead_id = uuid5(UUID(int=3), "lead")
    await pool.execute("INSERT INTO stream.emitters (name) VALUES ('scoring/0')")
    await pool.execute(
        "INSERT INTO stream.ownership (service, kind, number, next_row) VALUES ('scoring', 'partition', 0, 6)"
    )
    await pool.execute(OUTBOX, lead_id, 1, 5)
    engine = create_engine(database_url, init=take_on_api_role)
    registry = CollectorRegistry()
    lists = sweeper.Lists(ListStore(Database(engine)), _no_accords, SystemClock(), Metrics(registry))
    left = []
    for _ in range(4):
        assert await lists.go()
        left.append(registry.get_sample_value("accord_api_unlisted_events"))
    assert left == [3, 1, 0, 0]
    await engine.dispose()


async def _no_accords() -> Accords:
    raise AssertionError("nobody's engagement is asked for")


async def test_on_kafka_lists_follow_what_the_owners_have_emitted(database_url: str, pool: asyncpg.Pool) -> None:
    lead_id = uuid5(UUID(int=3), "lead")
    await pool.execute("INSERT INTO stream.emitters (name) VALUES ('scoring/0')")
    await pool.execute(
        "INSERT INTO stream.ownership (service, kind, number, next_row) VALUES ('scoring','partition',0,4)"
    )
    await pool.execute(OUTBOX, lead_id, 2, 3)  # the first is shipped and trimmed
    engine = create_engine(database_url, init=take_on_api_role)
    lists = ListStore(Database(engine))

    async def told() -> list[UUID]:
        async with lists.database.transaction() as connection:
            assert await lists.is_mine(connection)
            told = await lists.told_of(connection)
            await lists.move(connection, told.places)
            return list(told.lead_ids)

    assert await told() == [lead_id], "the first look begins a walk, and follows from what is there"
    assert await pool.fetchval("SELECT walked_through FROM api.list_state") == UUID(int=0)
    await pool.execute("UPDATE stream.ownership SET next_row = 7")
    await pool.execute(OUTBOX, lead_id, 4, 6)
    assert await told() == [lead_id]
    assert await told() == []
    await engine.dispose()
