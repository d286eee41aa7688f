"""What aiokafka leaves behind or never tells when a broker falls silent: found, ended and made anew.

The broker is frozen, so that its connections stay open and nothing answers; Java's own clients know these cases.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError
from builders import an_event, eventually
from contract.kafka_world import leaves_sockets
from kafka_fixtures import NEVER_GIVEN_UP
from kafka_topics import fresh_prefix, fresh_topics
from patience import within
from prometheus_client import CollectorRegistry

from deploy.kafka.jars import Kafka
from deploy.kafka.rig import Rig
from shared.stream import kafka_client, kafka_group, shipper
from shared.stream.feed import Feed
from shared.stream.kafka_client import Address, KafkaClients, KafkaSettings, close_consumer, close_producer
from shared.stream.kafka_group import Group
from shared.stream.metrics import Metrics
from shared.stream.relay import Row
from shared.stream.shipper import Shipper

pytestmark = leaves_sockets
PLACE = "accord.test"


@pytest.fixture(scope="module")
def rig(kafka_jars: Kafka) -> Iterator[Rig]:
    """One broker, frozen and thawed here."""
    with Rig(kafka=kafka_jars, settings=NEVER_GIVEN_UP) as rig:
        yield rig
    # What is left of clients that were cut short goes here, and not in the middle of another test.
    gc.collect()


@pytest.fixture
async def prefix(rig: Rig) -> AsyncIterator[str]:
    """Of a topic PLACE with one partition."""
    prefix = fresh_prefix()
    async with fresh_topics(rig.bootstrap, [prefix + PLACE], partitions=1):
        yield prefix
        rig.nodes[0].resume()


@pytest.fixture
def clients(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> KafkaClients:
    monkeypatch.setattr(kafka_client, "CLOSE_SECONDS", 1.0)
    return KafkaClients(KafkaSettings(kafka=rig.bootstrap, kafka_session_timeout_seconds=6))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


async def test_a_send_that_hangs_is_given_up_and_the_next_one_has_a_producer_of_its_own(
    rig: Rig, clients: KafkaClients, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper, "SEND_SECONDS", 1.0)
    sending = Shipper(clients, prefix)
    await sending.send("scoring/0", [_row(1)])
    rig.nodes[0].pause()
    with pytest.raises(TimeoutError):
        await sending.send("scoring/0", [_row(2), _row(3)])
    rig.nodes[0].resume()
    monkeypatch.setattr(shipper, "SEND_SECONDS", 30.0)
    await sending.send("scoring/0", [_row(2), _row(3)])
    await sending.close()


async def test_a_producer_that_cannot_flush_is_ended_with_all_that_waits_for_it(
    rig: Rig, clients: KafkaClients, prefix: str
) -> None:
    producer = clients.producer()
    await producer.start()
    await producer.send_and_wait(prefix + PLACE, b"first")
    rig.nodes[0].pause()
    waiting = await producer.send(prefix + PLACE, b"second")
    assert not await close_producer(producer)
    with pytest.raises(KafkaError):
        await waiting
    await eventually(lambda: producer._sender.sender_task.done())


async def test_a_consumer_that_cannot_leave_its_group_is_no_member_any_more(
    rig: Rig, clients: KafkaClients, prefix: str
) -> None:
    consumer = clients.consumer(f"{prefix}group")
    consumer.subscribe([prefix + PLACE])
    await consumer.start()
    rig.nodes[0].pause()
    assert not await close_consumer(consumer)
    assert consumer._coordinator._heartbeat_task is None
    assert not [task for task in asyncio.all_tasks() if "heartbeat" in repr(task.get_coro())]


async def test_a_feed_that_wants_nothing_hears_what_went_wrong_in_the_group(
    clients: KafkaClients, prefix: str, metrics: Metrics
) -> None:
    feed, consumer = Feed("scoring", metrics, prefix), clients.consumer(f"{prefix}group")
    consumer.subscribe([prefix + PLACE])
    feed.attach(consumer)
    await consumer.start()
    pumping = asyncio.create_task(feed.pump())
    # As aiokafka does when a join is refused for good; it goes on only once somebody has read the error.
    await asyncio.wait([asyncio.create_task(consumer._coordinator._push_error_to_user(KafkaError("refused")))])
    with pytest.raises(KafkaError, match="refused"):
        await pumping
    assert await close_consumer(consumer)


async def test_a_consumer_that_reads_no_more_is_not_waited_for(
    clients: KafkaClients, prefix: str, metrics: Metrics
) -> None:
    feed, consumer = Feed("scoring", metrics, prefix), clients.consumer(f"{prefix}group")
    consumer.subscribe([prefix + PLACE])
    feed.attach(consumer)
    await consumer.start()
    consumer._fetcher._fetch_task.cancel()
    with pytest.raises(KafkaConnectionError, match="reads no more"):
        await feed.pump()
    assert await close_consumer(consumer)


@pytest.mark.parametrize(("known", "is_lost"), [(Address(7, "gone.example", 9092), True), (None, False)])
async def test_a_consumer_that_knows_only_brokers_which_are_gone_is_lost(
    clients: KafkaClients, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, known: Address | None, is_lost: bool
) -> None:
    monkeypatch.setattr(kafka_group, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(kafka_group, "LOST_SECONDS", 0.1)
    group = Group("scoring", [], clients=clients, feed=Feed("scoring", metrics), metrics=metrics, check=clients.brokers)
    (there,) = await clients.brokers()
    address = known or there
    broker = SimpleNamespace(nodeId=address.node, host=address.host, port=address.port)
    cluster = SimpleNamespace(brokers=lambda: [broker])
    consumer = SimpleNamespace(_coordinator=None, _client=SimpleNamespace(cluster=cluster))
    # One whose brokers are all that there are can but wait for them.
    with pytest.raises(KafkaConnectionError if is_lost else TimeoutError):
        async with within(10) if is_lost else asyncio.timeout(0.5):
            await group._raise_when_lost(consumer)


def test_a_process_that_loses_a_partition_says_no_more_that_it_is_out_of_range(metrics: Metrics) -> None:
    feed, place = Feed("scoring", metrics), TopicPartition(PLACE, 3)
    feed.assigned([place])
    feed._boxes[place].seek(5)
    feed._out_of_range({place: 5})
    gauge = metrics.kafka_out_of_range.labels("scoring", "3")
    assert gauge._value.get() == 1
    feed.assigned([])
    assert gauge._value.get() == 0


def _row(number: int) -> Row:
    return Row(number, PLACE, 0, number, an_event(f"row {number}"))
