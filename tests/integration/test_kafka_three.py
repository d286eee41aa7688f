"""Three Kafka nodes: one may die at any time, and what was acknowledged stays."""

from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from builders import eventually
from kafka_topics import admin_client, fresh_prefix, fresh_topics

from deploy.kafka.rig import Rig

RECOVERY_SECONDS = 30


async def _partition(bootstrap: str, topic: str) -> dict[str, Any]:
    async with admin_client(bootstrap) as admin:
        (described,) = await admin.describe_topics([topic])
        (partition,) = described["partitions"]
        return dict(partition)


async def test_the_death_of_a_partitions_leader_loses_nothing_and_stops_nobody(kafka_three: Rig) -> None:
    bootstrap = kafka_three.bootstrap
    async with fresh_topics(bootstrap, [f"{fresh_prefix()}survives"], partitions=1) as (topic,):
        before = await _partition(bootstrap, topic)
        assert len(before["replicas"]) == 3
        (leader,) = (node for node in kafka_three.nodes if node.number == before["leader"])
        survivors = ",".join(node.address for node in kafka_three.nodes if node is not leader)

        async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True) as producer:
            acknowledged = []
            for number in range(40):
                if number == 20:
                    leader.kill()
                await producer.send_and_wait(topic, str(number).encode(), partition=0)
                acknowledged.append(str(number).encode())

        assert (await _partition(survivors, topic))["leader"] not in {leader.number, -1}
        leader.spawn()
        await leader.answers(nodes=3)

        async def is_whole() -> bool:
            return len((await _partition(bootstrap, topic))["isr"]) == 3

        await eventually(is_whole, RECOVERY_SECONDS)
        assert await _read(bootstrap, topic) == acknowledged


async def _read(bootstrap: str, topic: str) -> list[bytes]:
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        return [(await consumer.getone()).value for _ in range(end)]
