"""The topics on Kafka: made by `accord migrate`, checked at every start."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.errors import InvalidDocument, Surroundings
from shared.stream.kafka_client import MESSAGE_BYTES_MAX, KafkaClients
from shared.stream.trim import RETENTION

ADMIN_SECONDS = 30
KNOWN_CHECK_SECONDS = 0.2
KNOWN_CHECKS_MAX = 100
REPLICATION_WANTED = 3


class Topic(NamedTuple):
    """One topic as it stands on the brokers; `min_in_sync` and `retention` as its settings say."""

    name: str
    partitions: int
    replication: int
    min_in_sync: int
    retention: timedelta | None


async def create_topics(clients: KafkaClients, partitions: int, *, prefix: str = "") -> None:
    """Makes the topics that are missing. Raises InvalidDocument when one that exists doesn't fit."""
    async with _admin(clients) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        replication = clients.settings.kafka_replication or min(REPLICATION_WANTED, brokers)
        if replication > brokers:
            raise InvalidDocument(f"ACCORD_KAFKA_REPLICATION: found {replication}, but there are {brokers} brokers")
        existing = set(await admin.list_topics())
        wanted = [
            NewTopic(prefix + name, partitions, replication, topic_configs=_configs(retention, replication))
            for name, retention in RETENTION.items()
            if prefix + name not in existing
        ]
        if wanted:
            _raise_for(await admin.create_topics(wanted))
    await _until_known(clients, prefix)
    await check_topics(clients, partitions, prefix=prefix)


async def _until_known(clients: KafkaClients, prefix: str) -> None:
    """A topic is made once the controller has written it down; a busy broker hears of it later."""
    for _ in range(KNOWN_CHECKS_MAX):
        if len(await describe_topics(clients, prefix=prefix)) == len(RETENTION):
            return
        await asyncio.sleep(KNOWN_CHECK_SECONDS)


async def check_topics(clients: KafkaClients, partitions: int, *, prefix: str = "") -> Mapping[str, Topic]:
    """The topics as they stand. Raises InvalidDocument when one is missing or has another number of partitions."""
    found = await describe_topics(clients, prefix=prefix)
    missing = [prefix + name for name in RETENTION if name not in found]
    if missing:
        raise InvalidDocument(f"Kafka has no topic {', '.join(missing)}: run `accord migrate`")
    for topic in found.values():
        if topic.partitions != partitions:
            raise InvalidDocument(
                f"Kafka topic {topic.name}: found {topic.partitions} partitions, but this Accord was "
                f"made with {partitions}"
            )
    return found


async def describe_topics(clients: KafkaClients, *, prefix: str = "") -> dict[str, Topic]:
    """What stands on the brokers of Accord's topics, by their names in EVENTS.md."""
    async with _admin(clients) as admin:
        existing = set(await admin.list_topics())
        names = [prefix + name for name in RETENTION if prefix + name in existing]
        if not names:
            return {}
        described = await admin.describe_topics(names)
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    found = [resource for answer in answers for resource in answer.resources]
    configs = {resource[3]: {entry[0]: entry[1] for entry in resource[4]} for resource in found}
    return {topic["topic"].removeprefix(prefix): _topic(topic, configs.get(topic["topic"], {})) for topic in described}


def _topic(described: Mapping[str, Any], config: Mapping[str, str]) -> Topic:
    partitions = described["partitions"]
    retention = int(config.get("retention.ms", -1))
    return Topic(
        name=described["topic"],
        partitions=len(partitions),
        replication=min(len(partition["replicas"]) for partition in partitions),
        min_in_sync=int(config.get("min.insync.replicas", 1)),
        retention=timedelta(milliseconds=retention) if retention >= 0 else None,
    )


def _configs(retention: timedelta, replication: int) -> dict[str, str]:
    return {
        "retention.ms": str(int(retention.total_seconds() * 1_000)),
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "max.message.bytes": str(MESSAGE_BYTES_MAX),
        # An acknowledged event lies on two brokers, as soon as there are enough of them.
        "min.insync.replicas": "2" if replication >= 3 else "1",
    }


def _raise_for(response: Any) -> None:
    for name, code, *rest in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise Surroundings(f"Kafka did not make topic {name}: {error.__name__} {rest[0] if rest else ''}".strip())


@asynccontextmanager
async def _admin(clients: KafkaClients) -> AsyncIterator[Any]:
    """An admin client within a time bound. Raises Surroundings when Kafka can't be reached."""
    client = clients.admin()
    try:
        async with asyncio.timeout(ADMIN_SECONDS):
            await client.start()
            yield client
    except (KafkaError, TimeoutError) as error:
        # A time-out says nothing by itself; an error of aiokafka begins with its name.
        why = str(error) or f"no answer within {ADMIN_SECONDS} s"
        raise Surroundings(f"Kafka can't be reached at {clients.settings.kafka} (ACCORD_KAFKA): {why}") from None
    finally:
        await client.close()
