"""Postgres is restarted while two processes deliver: nothing is lost, each lead's events stay in order, and only what
was not recorded when it went may come twice, with the same webhook-id."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import asyncpg
import pytest
from builders import eventually, lead_in
from delivery_builders import Desk, Receiver, desks, listening

from shared.db.connections import create_pool
from shared.db.embedded import EmbeddedPostgres
from shared.db.migrate import upgrade

IN_FLIGHT = 12
PARTS = ("before", "during", "after")
LEADS = 30
EVENTS = 3
LEASE_IS_OVER = timedelta(minutes=2)


@pytest.fixture
async def processes(postgres: EmbeddedPostgres) -> AsyncIterator[list[Desk]]:
    """Two, each with connections of its own to a Postgres of this test's own."""
    await upgrade(postgres.dsn)
    async with AsyncExitStack() as stack:
        made = []
        for name in ("one", "other"):
            pool = await create_pool(postgres.dsn, application_name=f"accord-test-{name}")
            stack.callback(pool.terminate)
            make = await stack.enter_async_context(desks(pool))
            made.append(await make(in_flight=IN_FLIGHT, in_flight_per_subscription=IN_FLIGHT))
        yield made


async def test_a_restart_of_postgres_loses_nothing_and_repeats_only_what_was_not_recorded(
    processes: list[Desk], postgres: EmbeddedPostgres
) -> None:
    first, other = processes
    async with listening(Receiver()) as receiver:
        # With a rate nothing is claimed ahead, so there is work for both.
        await first.subscribe(receiver.url, rate_per_second=1_000.0)
        await tell(first, "before", leads=range(3))
        loops = [asyncio.create_task(desk.sender.run()) for desk in processes]
        await eventually(lambda: is_delivered(first.pool, 3 * EVENTS), within=20)
        receiver.block = asyncio.Event()
        await tell(first, "during", leads=range(LEADS))
        await eventually(lambda: all(desk.sender.in_flight for desk in processes), within=20)
        recorded = await delivered(first.pool)
        postgres.stop()
        # What was claimed is sent and answered, while nothing of it can be recorded.
        receiver.block.set()
        await eventually(lambda: not any(desk.sender.in_flight for desk in processes), within=20)
        sent_unrecorded = set(receiver.names()[recorded:])
        assert sent_unrecorded
        await postgres.start_again()
        await tell(first, "after", leads=range(LEADS, LEADS + 3))
        await eventually(lambda: sum(name.startswith("after") for name in receiver.names()) >= 3 * EVENTS, within=30)
        await eventually(lambda: not any(desk.sender.in_flight for desk in processes), within=20)
        for loop in loops:
            loop.cancel()
        await asyncio.wait(loops)
        # A claim whose commit was the last thing that Postgres did is nobody's until its lease is over.
        for desk in processes:
            desk.clock.advance(LEASE_IS_OVER)
        while await other.sends():
            pass
        check(receiver, sent_unrecorded)
    assert await delivered(first.pool) == len(await first.deliveries()) == (LEADS + 6) * EVENTS


def check(receiver: Receiver, sent_unrecorded: set[str]) -> None:
    came = Counter(receiver.names())
    assert len(came) == (LEADS + 6) * EVENTS
    assert {name for name, times in came.items() if times > 1} <= sent_unrecorded
    ids = {(got.event["data"]["reason"], got.headers["webhook-id"]) for got in receiver.received}
    assert len(ids) == len({webhook_id for _, webhook_id in ids}) == len(came)
    by_lead: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for got in receiver.received:
        part, number, _ = got.event["data"]["reason"].split()
        by_lead[got.event["subject"]].append((PARTS.index(part), int(number)))
    assert len(by_lead) == LEADS + 3
    assert all(told == sorted(told) for told in by_lead.values())


async def tell(desk: Desk, part: str, leads: range) -> None:
    """So many events of each of these leads, the leads in turn."""
    await desk.handle(
        *(desk.record(f"{part} {n} {lead}", lead=lead_in(0, lead)) for n in range(EVENTS) for lead in leads)
    )


async def delivered(pool: asyncpg.Pool) -> int:
    """How many deliveries are recorded as made."""
    return int(await pool.fetchval("SELECT count(*) FROM delivery.published_deliveries WHERE state = 'delivered'"))


async def is_delivered(pool: asyncpg.Pool, count: int) -> bool:
    return await delivered(pool) == count
