"""Deliveries to real HTTP receivers: signed, in order, retried, bounded, and never to where they must not go."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
import standardwebhooks
from builders import eventually, lead_in
from delivery_builders import LEAD, SECRET, OpenDesk, Receiver, desks, listening
from sla_builders import sales_recorded

from shared.errors import AlreadyApplied

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def open_desk(pool: asyncpg.Pool) -> AsyncIterator[OpenDesk]:
    async with desks(pool) as make:
        yield make


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening(Receiver()) as made:
        yield made


async def test_a_delivery_verifies_with_the_reference_implementation_and_is_recorded(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url, types=("accord.stage.*",), condition='{"grade": "B"}')
    await desk.handle(desk.record("one"), desk.record("not told", kind=sales_recorded))
    assert await desk.sends() == 1
    assert receiver.names() == ["one"]
    headers = receiver.received[0].headers
    assert standardwebhooks.Webhook(SECRET).verify(receiver.received[0].body, headers)["subject"] == str(LEAD)
    delivery_id = await desk.pool.fetchval("SELECT delivery_id FROM delivery.published_deliveries")
    assert headers["webhook-id"] == str(delivery_id)
    assert headers["content-type"] == "application/cloudevents+json"
    assert await desk.deliveries() == [("delivered", 1, 200)]
    attempt = await desk.pool.fetchrow("SELECT * FROM delivery.published_attempts")
    assert (attempt["outcome"], len(attempt["answer"])) == ("delivered", 1024)
    assert await desk.pool.fetchval("SELECT count(*) FROM delivery.events") == 2
    assert await desk.sends() == 0


@pytest.mark.parametrize(("carried", "sent"), [(TRACE, TRACE), (None, None), ("00-junk-01\r\nx-injected: yes", None)])
async def test_a_trace_goes_on_to_the_receiver(
    open_desk: OpenDesk, receiver: Receiver, carried: str | None, sent: str | None
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url)
    record = desk.record("traced")
    await desk.handle(record._replace(event=record.event._replace(traceparent=carried)))
    assert await desk.sends() == 1
    got = receiver.received[0]
    assert (got.headers.get("traceparent"), got.event.get("traceparent")) == (sent, carried)
    assert "x-injected" not in got.headers


async def test_a_failure_is_retried_on_schedule_with_the_same_id(open_desk: OpenDesk, receiver: Receiver) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url)
    receiver.statuses = [(500, {}), (503, {"retry-after": "900"}), (302, {"location": receiver.url})]
    await desk.handle(desk.record("one"))
    for wait in (0, 5, 900, 1800):
        desk.clock.advance(timedelta(seconds=max(0, wait - 1)))
        assert await desk.sends() == (1 if wait == 0 else 0)
        desk.clock.advance(timedelta(seconds=1 if wait else 0))
        await desk.sends()
    assert [got.headers["webhook-id"] for got in receiver.received] == [receiver.received[0].headers["webhook-id"]] * 4
    assert await desk.deliveries() == [("delivered", 4, 200)]


async def test_a_condition_on_the_grade_holds_for_events_that_do_not_say_it(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url, types=("accord.sales.*",), condition='{"grade": "B", "stage": "mql"}')
    await desk.handle(desk.record("before any stage", kind=sales_recorded))
    await desk.handle(desk.record("stage"), desk.record("same batch", kind=sales_recorded))
    await desk.handle(desk.record("next batch", kind=sales_recorded))
    await desk.handle(desk.record("other lead", lead=lead_in(0, 1), kind=sales_recorded))
    while await desk.sends():
        pass
    assert receiver.names() == ["same batch", "next batch"]


async def test_order_per_lead_is_kept_through_the_third_try_and_other_leads_pass(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url)
    receiver.statuses = [(500, {})]
    await desk.handle(desk.record("first"))
    await desk.sends()
    await desk.handle(desk.record("second"), desk.record("other lead", lead=lead_in(0, 1)))
    await desk.sends()
    assert receiver.names() == ["first", "other lead"]
    receiver.statuses = [(500, {}), (500, {})]
    for wait in (5, 300):
        desk.clock.advance(timedelta(seconds=wait))
        await desk.sends()
    assert receiver.names() == ["first", "other lead", "first", "first"]
    await desk.sends()
    assert receiver.names()[-1] == "second"


async def test_a_lead_s_next_delivery_waits_for_the_one_in_flight(open_desk: OpenDesk, receiver: Receiver) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url)
    receiver.block = asyncio.Event()
    await desk.handle(desk.record("first"), desk.record("second"))
    assert await desk.sender.turn() == 1
    await eventually(lambda: receiver.asked == 1)
    assert await desk.sender.turn() == 0
    receiver.block.set()
    await desk.sender.drain(5)
    await desk.sends()
    assert receiver.names() == ["first", "second"]


async def test_an_endpoint_that_hangs_delays_no_other(open_desk: OpenDesk, receiver: Receiver) -> None:
    desk = await open_desk(in_flight_per_subscription=2)
    async with listening(Receiver(block=asyncio.Event())) as hanging:
        await desk.subscribe(hanging.url)
        await desk.handle(*(desk.record(f"hangs {n}", lead=lead_in(0, n)) for n in range(20)))
        assert await desk.sender.turn() == 2
        await desk.subscribe(receiver.url)
        desk.clock.advance(timedelta(seconds=1))  # subscriptions are read again
        await desk.handle(desk.record("passes", lead=lead_in(0, 50)))
        assert await desk.sender.turn() == 1
        await eventually(lambda: receiver.names() == ["passes"])
        assert hanging.asked == 2
        assert hanging.received == []
        assert desk.metrics.in_flight_limit_reached._value.get() == 1


async def test_an_answer_that_does_not_come_in_time_is_a_failed_try(open_desk: OpenDesk) -> None:
    desk = await open_desk(timeout_seconds=0.2)
    async with listening(Receiver(block=asyncio.Event())) as hanging:
        await desk.subscribe(hanging.url)
        await desk.handle(desk.record("one"))
        await desk.sends()
    assert await desk.deliveries() == [("pending", 1, None)]
    assert await desk.pool.fetchval("SELECT outcome FROM delivery.published_deliveries") == "timed out"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f000001", "[::1]", "169.254.169.254"])
async def test_an_address_inside_is_refused_at_connect_time_and_not_tried_again(
    open_desk: OpenDesk, receiver: Receiver, host: str
) -> None:
    desk = await open_desk(allowed="")
    await desk.subscribe(receiver.url.replace("127.0.0.1", host))
    await desk.handle(desk.record("one"))
    await desk.sends()
    assert await desk.deliveries() == [("dead", 1, None)]
    assert await desk.pool.fetchval("SELECT outcome FROM delivery.published_deliveries") == "forbidden address"
    assert receiver.asked == 0


async def test_a_receiver_that_is_gone_is_told_nothing_more(open_desk: OpenDesk, receiver: Receiver) -> None:
    desk = await open_desk()
    subscription_id = await desk.subscribe(receiver.url)
    receiver.statuses = [(410, {})]
    await desk.handle(desk.record("one"), desk.record("two"))
    await desk.sends()
    await desk.handle(desk.record("three"))
    assert await desk.sends() == 0
    assert sorted(await desk.deliveries()) == [("dead", 1, 410), ("pending", 0, None)]
    disabled = await desk.pool.fetch("SELECT subscription_id, why FROM delivery.published_endpoints")
    assert [tuple(row) for row in disabled] == [(subscription_id, "its endpoint answered 410 Gone")]


async def test_a_sender_killed_before_it_recorded_sends_again_after_its_lease_with_the_same_id(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    killed, successor = await open_desk(), await open_desk()
    await killed.subscribe(receiver.url)
    await killed.handle(killed.record("one"))
    receiver.block = asyncio.Event()
    assert await killed.sender.turn() == 1
    await eventually(lambda: receiver.asked == 1)
    await killed.sender.drain(0)  # what a kill leaves: sent, not recorded
    receiver.block.set()
    assert await successor.sends() == 0
    successor.clock.advance(timedelta(seconds=31))
    assert await successor.sends() == 1
    assert await successor.deliveries() == [("delivered", 1, 200)]
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 1


async def test_two_senders_share_the_work_without_sending_anything_twice(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desks = [await open_desk(), await open_desk()]
    await desks[0].subscribe(receiver.url)
    await desks[0].handle(*(desks[0].record(f"event {n}", lead=lead_in(0, n)) for n in range(40)))
    for _ in range(5):
        await asyncio.gather(*(desk.sends() for desk in desks))
    assert sorted(receiver.names()) == sorted(f"event {n}" for n in range(40))


async def test_events_that_were_kept_before_are_named_and_told_to_nobody_again(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url)
    one, two = desk.record("one"), desk.record("two")
    await desk.handle(one, one)
    with pytest.raises(AlreadyApplied) as raised:
        await desk.handle(one, two)
    assert raised.value.event_ids == {one.event.id}
    assert len(await desk.deliveries()) == 1


async def test_a_subscription_whose_condition_can_not_be_read_is_left_out_and_the_others_are_told(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url, condition='{"grade": {"no such test": 1}}')
    await desk.subscribe(receiver.url)
    await desk.handle(desk.record("one"))
    await desk.sends()
    assert receiver.names() == ["one"]


async def test_the_loop_sends_soon_after_the_commit_and_lets_what_is_in_flight_end(
    open_desk: OpenDesk, receiver: Receiver
) -> None:
    desk = await open_desk()
    await desk.subscribe(receiver.url)
    loop = asyncio.create_task(desk.sender.run())
    await desk.handle(desk.record("one"))
    await eventually(lambda: receiver.names() == ["one"], within=2)
    receiver.block = asyncio.Event()
    await desk.handle(desk.record("two"))
    await eventually(lambda: receiver.asked == 2, within=2)
    loop.cancel()
    receiver.block.set()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert sorted(await desk.deliveries()) == [("delivered", 1, 200)] * 2
