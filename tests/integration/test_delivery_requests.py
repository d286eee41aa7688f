"""Told again: by time, by event, to a new subscription; with the same ids, in order, as the subscription asks."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid5

import asyncpg
import pytest
from builders import lead_in
from delivery_builders import Desk, OpenDesk, Receiver, desks, listening
from sla_builders import NAMES, sales_recorded

from services.delivery.model.attempts import WAITS
from services.delivery.store import trim
from services.delivery.sweeper import requests as module
from shared.clock import new_id


@pytest.fixture
async def open_desk(pool: asyncpg.Pool) -> AsyncIterator[OpenDesk]:
    async with desks(pool) as make:
        yield make


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening(Receiver()) as made:
        yield made


async def sends_all(desk: Desk) -> None:
    while await desk.sends():
        pass


async def test_what_was_told_in_a_time_is_told_again_with_the_same_ids_and_its_tries_are_kept(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    told = await desk.subscribe(receiver.url)
    await desk.subscribe(receiver.url)
    await desk.handle(desk.record("early"))
    await sends_all(desk)
    desk.clock.advance(timedelta(hours=1))
    since = desk.clock.now() - timedelta(minutes=1)
    await desk.handle(desk.record("one"), desk.record("two"))
    await sends_all(desk)
    before = {got.headers["webhook-id"] for got in receiver.received}
    receiver.received.clear()
    await desk.request(told, "replay", since=since, until=desk.clock.now() + timedelta(hours=1))
    await sends_all(desk)
    assert receiver.names() == ["one", "two"]
    assert {got.headers["webhook-id"] for got in receiver.received} < before
    row = await desk.pool.fetchrow("SELECT deliveries, finished_at FROM delivery.published_requests")
    assert (row["deliveries"], row["finished_at"]) == (2, desk.clock.now())
    tries = await desk.pool.fetch(
        """SELECT attempt FROM delivery.published_attempts JOIN delivery.published_deliveries d USING (delivery_id)
        WHERE d.subscription_id = $1""",
        told,
    )
    assert sorted(row["attempt"] for row in tries) == [1, 1, 1, 2, 2]


async def test_a_new_subscription_is_told_what_it_asks_for_of_what_was_kept_page_by_page_and_in_order(
    open_desk: OpenDesk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_EVENTS", 3)
    desk = await open_desk()
    for n in range(8):
        await desk.handle(desk.record(f"stage {n}"), desk.record(f"sales {n}", kind=sales_recorded))
    await desk.handle(desk.record("another grade", lead=lead_in(0, 7), kind=sales_recorded))
    late = await desk.subscribe(receiver.url, types=("accord.sales.*",), condition='{"grade": "B"}')
    day = timedelta(days=1)
    await desk.request(late, "replay", since=desk.clock.now() - day, until=desk.clock.now() + day)
    await sends_all(desk)
    assert receiver.names() == [f"sales {n}" for n in range(8)]


async def test_events_that_are_named_are_told_whatever_the_subscription_asks_for(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.handle(desk.record("one"), desk.record("two"), desk.record("three"))
    late = await desk.subscribe(receiver.url, types=("accord.clock.met",))
    await desk.request(late, "replay", event_ids=[uuid5(NAMES, "one"), uuid5(NAMES, "three"), new_id()])
    await sends_all(desk)
    assert receiver.names() == ["one", "three"]


async def test_a_dead_delivery_is_made_again_and_a_pending_one_goes_on(open_desk: OpenDesk, receiver: Receiver) -> None:
    desk = await open_desk()
    subscription = await desk.subscribe(receiver.url)
    receiver.statuses = [(500, {})] * 10
    await desk.handle(desk.record("one"))
    for wait in (*WAITS, timedelta(0)):
        await desk.sends()
        desk.clock.advance(wait)
    assert await desk.deliveries() == [("dead", 10, 500)]
    await desk.request(subscription, "replay", event_ids=[uuid5(NAMES, "one")])
    assert await desk.deliveries() == [("pending", 0, 500)]
    await desk.request(subscription, "replay", event_ids=[uuid5(NAMES, "one")])
    await sends_all(desk)
    assert await desk.deliveries() == [("delivered", 1, 200)]
    attempts = await desk.pool.fetch("SELECT attempt FROM delivery.published_attempts ORDER BY attempt")
    assert [row["attempt"] for row in attempts] == list(range(1, 12))


async def test_a_subscription_that_is_paused_is_told_afterwards_and_one_that_is_deleted_never(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    paused = await desk.subscribe(receiver.url, state="paused")
    deleted = await desk.subscribe(receiver.url)
    await desk.handle(desk.record("one"))
    await desk.pool.execute("UPDATE api.subscriptions SET deleted_at = now() WHERE subscription_id = $1", deleted)
    assert await desk.sends() == 0
    await desk.pool.execute("UPDATE api.subscriptions SET state = 'active' WHERE subscription_id = $1", paused)
    desk.clock.advance(timedelta(seconds=2))
    await sends_all(desk)
    assert len(receiver.received) == 1
    await trim.trim(desk.pool, desk.clock.now() - timedelta(days=30))
    rows = await desk.pool.fetch("SELECT state, outcome FROM delivery.published_deliveries ORDER BY state")
    assert [tuple(row) for row in rows] == [("dead", "unsubscribed"), ("delivered", "delivered")]


async def test_what_is_older_than_the_retention_is_forgotten_but_not_how_leads_stand(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    silent = await desk.subscribe(receiver.url, state="paused")
    await desk.handle(desk.record("one"), desk.record("two"), desk.record("three", kind=sales_recorded))
    await desk.pool.execute("UPDATE delivery.deliveries SET created_at = received_at")
    before = desk.clock.now() + timedelta(days=1)
    assert await trim.trim(desk.pool, before) == (2, 3, 3)
    assert await trim.trim(desk.pool, before) == (0, 0, 0)
    assert await desk.pool.fetchval("SELECT count(*) FROM delivery.events") == 3
    assert await desk.pool.fetchval("SELECT count(*) FROM delivery.published_deliveries") == 0
    await desk.pool.execute(
        "UPDATE api.subscriptions SET state = 'active', condition = '{\"grade\": \"B\"}' WHERE subscription_id = $1",
        silent,
    )
    await desk.handle(desk.record("four", kind=sales_recorded))
    await sends_all(desk)
    assert receiver.names() == ["four"]
