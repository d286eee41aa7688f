"""Endpoints that hang, fail, or ask to wait; processes that race; Postgres that goes; and days that pass."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from builders import eventually, lead_in
from delivery_builders import OpenDesk, Receiver, desks, listening

from services.delivery.store import records


@pytest.fixture
async def open_desk(pool: asyncpg.Pool) -> AsyncIterator[OpenDesk]:
    async with desks(pool) as make:
        yield make


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening(Receiver()) as made:
        yield made


async def test_many_endpoints_that_hang_leave_the_budget_of_the_others_alone(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk(in_flight=20, in_flight_per_subscription=10)
    async with listening(Receiver(block=asyncio.Event())) as hanging:
        for _ in range(20):
            await desk.subscribe(hanging.url)
        await desk.handle(*(desk.record(f"hangs {n}", lead=lead_in(0, n)) for n in range(10)))
        await desk.sender.turn()
        assert desk.sender.in_flight == 20
        await desk.subscribe(receiver.url)
        desk.clock.advance(timedelta(seconds=1))
        await desk.handle(desk.record("passes", lead=lead_in(0, 50)))
        # Within a second the hanging ones are known as such.
        loop = asyncio.create_task(desk.sender.run())
        try:
            await eventually(lambda: receiver.names() == ["passes"], within=4)
        finally:
            loop.cancel()
            hanging.block.set() if hanging.block else None
            await asyncio.wait([loop])


@pytest.mark.parametrize("processes", [2, 4])
async def test_processes_that_race_send_everything_once_and_in_order(
    open_desk: OpenDesk, receiver: Receiver, processes: int
) -> None:
    all_ = [await open_desk() for _ in range(processes)]
    await all_[0].subscribe(receiver.url)
    loops = [asyncio.create_task(desk.sender.run()) for desk in all_]
    try:
        for part in range(6):
            records = [
                all_[0].record(f"{lead}/{part}/{n}", lead=lead_in(0, lead)) for n in range(3) for lead in range(8)
            ]
            await all_[0].handle(*records)
        await eventually(lambda: len(receiver.received) >= 144, within=20)
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.wait(loops)
    names = receiver.names()
    assert len(names) == len(set(names)) == 144
    for lead in range(8):
        of_lead = [name for name in names if name.startswith(f"{lead}/")]
        assert of_lead == sorted(of_lead)


async def test_what_can_not_be_recorded_is_recorded_later_and_not_sent_again(
    open_desk: OpenDesk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url)
    await desk.handle(desk.record("one"))
    real = records.record

    async def away(*_: Any) -> Any:
        raise ConnectionResetError

    monkeypatch.setattr(records, "record", away)
    await desk.sends()
    assert await desk.deliveries() == [("pending", 0, None)]
    monkeypatch.setattr(records, "record", real)
    assert await desk.sends() == 0
    assert await desk.deliveries() == [("delivered", 1, 200)]
    assert receiver.asked == 1


async def test_an_endpoint_that_is_down_for_a_day_gets_everything_in_the_end(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url)
    receiver.statuses = [(500, {})] * 10_000
    for told in range(24):
        await desk.handle(desk.record(f"{told}", lead=lead_in(0, told % 3)))
        await desk.sends()
        desk.clock.advance(timedelta(hours=1))
    receiver.statuses = []
    failed = len(receiver.received)
    for _ in range(60):
        while await desk.sends():
            pass
        desk.clock.advance(timedelta(hours=1))
    assert {state for state, *_ in await desk.deliveries()} == {"delivered"}
    assert sorted(map(int, receiver.names()[failed:])) == list(range(24))
    assert await desk.pool.fetchval("SELECT failing_since FROM delivery.published_endpoints") is None


async def test_an_endpoint_that_fails_for_five_days_is_disabled_and_others_are_told(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    async with listening(Receiver(secret=None)) as operators:
        failing = await desk.subscribe(receiver.url, name="CRM")
        await desk.subscribe(operators.url, types=("accord.subscription.disabled",))
        receiver.statuses = [(500, {})] * 10_000
        for day in range(6):
            await desk.handle(desk.record(f"day {day}", lead=lead_in(0, day)))
            for _ in range(24):
                await desk.sends()
                desk.clock.advance(timedelta(hours=1))
        await desk.sends()
        (notice,) = [got.event for got in operators.received]
    assert (notice["type"], notice["subject"]) == ("accord.subscription.disabled", str(failing))
    assert (notice["data"]["name"], notice["data"]["why"]) == ("CRM", "its endpoint failed for five days")
    asked = receiver.asked
    await desk.handle(desk.record("nobody is told", lead=lead_in(0, 40)))
    assert (await desk.sends(), receiver.asked) == (0, asked)
    # Enabled again, it begins anew.
    receiver.statuses = []
    await desk.pool.execute("UPDATE api.subscriptions SET enabling = enabling + 1 WHERE subscription_id = $1", failing)
    await desk.handle(desk.record("told again", lead=lead_in(0, 41)))
    desk.clock.advance(timedelta(hours=25))
    while await desk.sends():
        pass
    assert "told again" in receiver.names()
    assert "nobody is told" not in receiver.names()


async def test_an_endpoint_that_asks_to_wait_is_left_alone_with_everything(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url)
    receiver.statuses = [(429, {"retry-after": "600"})]
    await desk.handle(desk.record("one"))
    await desk.sends()
    await desk.handle(desk.record("two", lead=lead_in(0, 1)))
    assert await desk.sends() == 0
    desk.clock.advance(timedelta(seconds=601))
    while await desk.sends():
        pass
    assert sorted(receiver.names()) == ["one", "one", "two"]


async def test_a_rate_and_a_bound_on_tries_under_way_are_kept(open_desk: OpenDesk, receiver: Receiver) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url, rate_per_second=5.0, in_flight_max=1)
    await desk.handle(*(desk.record(f"{n}", lead=lead_in(0, n)) for n in range(12)))
    loop = asyncio.create_task(desk.sender.run())
    began = asyncio.get_running_loop().time()
    await eventually(lambda: receiver.asked == 12, within=10)
    seconds = asyncio.get_running_loop().time() - began
    loop.cancel()
    await asyncio.wait([loop])
    assert seconds > 1.2  # a burst of 5, then 5 a second
    assert receiver.most_at_once == 1


async def test_a_consent_that_was_asked_for_comes_before_the_first_event(open_desk: OpenDesk) -> None:
    asked: list[dict[str, str]] = []
    consents = [{}, {"WebHook-Allowed-Origin": "accord.example", "WebHook-Allowed-Rate": "600"}]

    async def options(request: web.Request) -> web.Response:
        asked.append(dict(request.headers))
        return web.Response(status=405, headers=consents.pop(0))

    desk = await open_desk()
    async with listening(Receiver(), options=options) as receiver:
        await desk.subscribe(receiver.url, handshake=True)
        await desk.handle(desk.record("one"))
        assert await desk.sends() == 0
        await desk.handshakes.turn()
        assert await desk.pool.fetchval("SELECT refusal FROM delivery.published_endpoints") == (
            "did not answer with WebHook-Allowed-Origin"
        )
        await desk.handshakes.turn()
        assert len(asked) == 1  # not more than once a minute
        desk.clock.advance(timedelta(minutes=1))
        await desk.handshakes.turn()
        desk.clock.advance(timedelta(seconds=2))
        await desk.sends()
        assert receiver.names() == ["one"]
    assert asked[0]["WebHook-Request-Origin"] == "accord.example"
    assert receiver.received[0].headers["webhook-request-origin"] == "accord.example"
