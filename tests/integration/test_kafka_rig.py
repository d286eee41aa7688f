"""The Kafka that the other tests stand on: a real one, that keeps what it acknowledged when it is killed."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from builders import eventually
from kafka_topics import admin_client, create_topics, fresh_prefix, fresh_topics
from postgres_processes import eventually as eventually_ended
from postgres_processes import is_running

from deploy.kafka.jars import Kafka
from deploy.kafka.rig import Rig


@pytest.fixture(scope="module")
def breakable(kafka_jars: Kafka) -> Iterator[Rig]:
    """For tests that break it and mend it."""
    with Rig(kafka=kafka_jars) as rig:
        yield rig


async def _write(bootstrap: str, topic: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def _read(bootstrap: str, topic: str) -> list[bytes]:
    """All of partition 0, without a group."""
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        return [(await consumer.getone()).value for _ in range(end)]


async def test_what_a_producer_writes_a_consumer_group_reads(kafka: str) -> None:
    prefix = fresh_prefix()
    async with fresh_topics(kafka, [f"{prefix}said"]) as (topic,):
        await _write(kafka, topic, b"one", b"two")
        options = {"bootstrap_servers": kafka, "group_id": f"{prefix}readers", "auto_offset_reset": "earliest"}
        async with AIOKafkaConsumer(topic, **options) as consumer:
            assert [(await consumer.getone()).value for _ in range(2)] == [b"one", b"two"]
    async with admin_client(kafka) as admin:
        assert topic not in await admin.list_topics()


async def test_a_topic_that_nobody_provisioned_is_not_made_by_asking_for_it(kafka: str) -> None:
    unknown = f"{fresh_prefix()}unknown"
    async with admin_client(kafka) as admin:
        (described,) = await admin.describe_topics([unknown])
        assert described["partitions"] == []
        assert unknown not in await admin.list_topics()


async def test_a_killed_node_has_everything_when_it_starts_again_at_the_same_address(breakable: Rig) -> None:
    (node,) = breakable.nodes
    before, pid = breakable.bootstrap, node.pid
    await create_topics(before, ["kept"], partitions=1)
    await _write(before, "kept", *(str(number).encode() for number in range(100)))

    node.kill()
    assert not is_running(pid)
    node.spawn()
    await node.answers()

    assert breakable.bootstrap == before
    assert await _read(before, "kept") == [str(number).encode() for number in range(100)]


async def test_a_paused_node_says_nothing_until_it_is_resumed(breakable: Rig) -> None:
    (node,) = breakable.nodes
    await create_topics(node.address, ["later"], partitions=1)
    async with AIOKafkaProducer(bootstrap_servers=node.address, acks="all") as producer:
        await producer.partitions_for("later")
        node.pause()
        acknowledged = await producer.send("later", b"patience", partition=0)
        await asyncio.wait([acknowledged], timeout=0.5)
        assert not acknowledged.done()
        node.resume()
        await eventually(acknowledged.done, 20)
        assert (await acknowledged).offset == 0


def test_the_command_says_where_its_node_is_and_takes_it_along_when_it_is_killed(kafka_jars: Kafka) -> None:
    command = [sys.executable, "-m", "deploy.kafka.rig"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as rig:
        assert rig.stdout is not None
        assert re.fullmatch(r"ACCORD_KAFKA=127\.0\.0\.1:\d+\n", rig.stdout.readline())
        node = int(Path(f"/proc/{rig.pid}/task/{rig.pid}/children").read_text())
        folder = Path(f"/proc/{node}/cwd").resolve().parent
        rig.kill()
    try:
        assert eventually_ended(lambda: not is_running(node))
    finally:
        shutil.rmtree(folder)
