"""What only the Kafka carrier can be asked: foreign and unreadable messages, what the broker cut, lanes left behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from builders import NOON, an_event, eventually, lead_in
from contract.kafka_world import KafkaWorld, leaves_sockets
from contract.runner_world import SLOT, a_service, keeps, kept, post, running
from contract.worlds import PARTITIONS, all_on, emit, names
from kafka_topics import delete_records

from shared.errors import InvalidDocument
from shared.events.topics import ACTIVITY, TOPICS
from shared.stream.carrier import Position, Slot
from shared.stream.kafka import KafkaClaim
from shared.stream.kafka_topics import check_topics, create_topics
from shared.stream.relay import Row

pytestmark = leaves_sockets
SPEC = ("ce_specversion", b"1.0")
FOREIGN = [SPEC, ("ce_id", b"crm-1"), ("ce_source", b"/crm"), ("ce_type", b"accord.activity")]


@pytest.fixture
async def world(kafka: str, database_url: str, pool: Any) -> AsyncIterator[KafkaWorld]:
    world = await KafkaWorld.start(kafka, database_url, pool)
    yield world
    await world.end()


async def test_a_foreign_event_has_an_id_of_its_source_and_the_brokers_time(world: KafkaWorld) -> None:
    for headers in (FOREIGN, FOREIGN, [*FOREIGN[:2], ("ce_source", b"/other"), FOREIGN[3]]):
        await world.put_raw(ACTIVITY, 0, key=str(lead_in(0)).encode(), value=b"raw", headers=headers)
    claim = await world.carrier.claim(Slot("reader", "partition", 0), [ACTIVITY])
    first, again, other = await claim.fetch([ACTIVITY], 10)
    assert first.event.id == again.event.id != other.event.id
    assert (first.emitter, first.seq, first.event.key, first.event.value) == (None, None, lead_in(0), b"raw")
    assert first.event.received_at.year >= NOON.year


@pytest.mark.parametrize(
    ("key", "headers", "reason"),
    [
        (b"not a lead", FOREIGN, "badly formed"),
        (str(lead_in(0)).encode(), FOREIGN[1:3], "ce_type"),
        (None, [], "ce_source"),
        (str(lead_in(0)).encode(), [*FOREIGN, ("ce_time", b"yesterday")], "isoformat"),
        (str(lead_in(0)).encode(), [*FOREIGN, ("traceparent", b"\xff")], "utf-8"),
    ],
)
async def test_a_message_that_cannot_be_read_is_a_dead_letter_and_the_line_goes_on(
    world: KafkaWorld, key: bytes | None, headers: list[tuple[str, bytes]], reason: str
) -> None:
    service = a_service(world)
    async with running(service):
        await world.put_raw(ACTIVITY, 0, key=key, value=b"\x00raw", headers=headers)
        await post(world, "after")
        await keeps(world, ["after"])
    [message, value] = await world.pool.fetchrow("SELECT message, value FROM stream.dead_letters")
    assert reason in message
    assert value == b"\x00raw"


async def test_what_the_broker_cut_under_a_stopped_reader_stops_its_partition_and_resets_nothing(
    world: KafkaWorld, kafka: str
) -> None:
    await post(world, *(f"{n}" for n in range(10)))
    await all_on(world, ACTIVITY, 0)
    await delete_records(kafka, world.prefix + ACTIVITY, 0, before=6)
    service = a_service(world)
    async with running(service):
        await eventually(lambda: service.runner.state == "out of range")
        await post(world, "later")
        await eventually(lambda: world.metric("accord_kafka_out_of_range", service="scoring", partition="0") == 1)
        assert await kept(world) == []
        assert await world.carrier.position("scoring", ACTIVITY, 0) == 0
        # What an operator does once it is known what was lost.
        await world.move_positions(SLOT, {ACTIVITY: Position(6, {"ingest/0": 6})})
        await keeps(world, ["6", "7", "8", "9", "later"])
        await eventually(lambda: service.runner.state == "running")
        assert world.metric("accord_kafka_out_of_range", service="scoring", partition="0") == 0


async def test_numbers_that_come_late_are_waited_for_however_much_comes_before_them(world: KafkaWorld) -> None:
    early = [("ingest/7", n, an_event(f"{n}")) for n in range(2, 40)]
    service = a_service(world, limit=5)
    async with running(service):
        await world.put(ACTIVITY, 0, early)
        await eventually(lambda: service.runner.state == "gap")
        await world.put(ACTIVITY, 0, [("ingest/7", 1, an_event("1")), *early])
        await keeps(world, [f"{n}" for n in range(1, 40)])
        await eventually(lambda: service.runner.state == "running")


async def test_a_lane_left_with_unshipped_rows_is_shipped_by_whoever_lives(world: KafkaWorld) -> None:
    lane = await world.carrier.claim_lane("ingest")
    assert isinstance(lane, KafkaClaim)
    await lane.abandon()  # its process was killed: no relay any more, and the lease runs out
    await emit(lane, an_event("left"))
    shipping = asyncio.create_task(world.carrier.ship_abandoned_lanes("ingest"))
    await asyncio.sleep(0)
    await world.pool.execute("UPDATE stream.ownership SET leased_until = now() - interval '1 second'")
    assert names(await all_on(world, ACTIVITY, 0)) == ["left"]
    shipping.cancel()
    with suppress(asyncio.CancelledError):
        await shipping
    assert [r.emitter for r in await all_on(world, ACTIVITY, 0)] == ["ingest/0"]


async def test_rows_shipped_but_not_noted_are_sent_again_and_read_once(world: KafkaWorld) -> None:
    service = a_service(world)
    async with running(service):
        await post(world, "a", "b")
        await keeps(world, ["a", "b"])
        await world.pool.execute("UPDATE stream.ownership SET shipped_through = 0 WHERE kind = 'lane'")
        await post(world, "c")
        await keeps(world, ["a", "b", "c"])
    assert service.metric("accord_stream_duplicates_total") == 2


async def test_topics_are_made_once_and_checked(world: KafkaWorld) -> None:
    await create_topics(world.clients, PARTITIONS, prefix=world.prefix)
    found = await check_topics(world.clients, PARTITIONS, prefix=world.prefix)
    assert set(found) == set(TOPICS)
    assert all(topic.retention and topic.retention.days in (3, 7, 14) for topic in found.values())
    with pytest.raises(InvalidDocument, match="found 4 partitions, but this Accord was made with 5"):
        await check_topics(world.clients, PARTITIONS + 1, prefix=world.prefix)
    with pytest.raises(InvalidDocument, match="run `accord migrate`"):
        await check_topics(world.clients, PARTITIONS, prefix="another.")


async def test_an_event_on_the_topic_carries_what_the_contract_says(world: KafkaWorld) -> None:
    lane = await world.carrier.claim_lane("ingest")
    event = an_event("seen")._replace(accord=3, cause=UUID(int=7), after=9, traceparent="00-ab-cd-01")
    await emit(lane, event)
    await all_on(world, ACTIVITY, 0)
    message = await world.message(ACTIVITY, 0, 0)
    assert message.key == str(event.key).encode()
    assert dict(message.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": str(event.id).encode(),
        "ce_source": b"/accord/ingest",
        "ce_type": b"accord.activity",
        "ce_time": event.time.isoformat().encode(),
        "ce_subject": str(event.key).encode(),
        "content-type": b"application/json",
        "ce_emitter": b"ingest/0",
        "ce_seq": b"1",
        "ce_receivedat": event.received_at.isoformat().encode(),
        "ce_accord": b"3",
        "ce_cause": str(UUID(int=7)).encode(),
        "ce_after": b"9",
        "traceparent": b"00-ab-cd-01",
    }


async def test_a_release_that_is_cut_short_leaves_no_relay_behind(world: KafkaWorld) -> None:
    async def hang(emitter: str, rows: Sequence[Row]) -> None:
        await asyncio.Event().wait()

    world.carrier._send = hang
    claim = await world.carrier.claim(SLOT, [ACTIVITY])
    await emit(claim, an_event("waits"))
    releasing = asyncio.create_task(claim.release())
    await asyncio.sleep(0)
    releasing.cancel()
    await asyncio.wait([releasing])
    assert not [task for task in asyncio.all_tasks() if task.get_name() == f"relay of {SLOT.emitter}"]
