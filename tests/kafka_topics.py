"""Topics for one test on a shared Kafka: names that nobody else has, made and removed through the admin protocol."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import for_code
from builders import eventually

from shared.clock import new_id

WITHIN_SECONDS = 20.0


def fresh_prefix() -> str:
    """`test-….`: put it before a topic's name, or a group's."""
    return f"test-{new_id().hex}."


@asynccontextmanager
async def fresh_topics(
    bootstrap: str,
    names: Iterable[str],
    *,
    partitions: int = 4,
    replication: int = -1,
    configs: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[str, ...]]:
    """These topics, with a leader for each partition; gone at the end. `replication` -1: as the broker has it."""
    topics = tuple(names)
    await create_topics(bootstrap, topics, partitions=partitions, replication=replication, configs=configs)
    try:
        yield topics
    finally:
        await delete_topics(bootstrap, topics)


async def create_topics(
    bootstrap: str,
    names: Iterable[str],
    *,
    partitions: int = 4,
    replication: int = -1,
    configs: Mapping[str, str] | None = None,
) -> None:
    """Returns when clients can write to every partition."""
    # aiokafka takes -1 only beside an assignment, and an empty one leaves it to the broker.
    placed: dict[int, list[int]] | None = {} if replication == -1 else None
    wanted = [NewTopic(name, partitions, replication, placed, dict(configs or {})) for name in names]
    async with admin_client(bootstrap) as admin:
        _refuse_errors((await admin.create_topics(wanted)).topic_errors)

        async def have_leaders() -> bool:
            found = await admin.describe_topics([new.name for new in wanted])
            led = [part for topic in found for part in topic["partitions"] if part["leader"] >= 0]
            return len(led) == partitions * len(wanted)

        await eventually(have_leaders, WITHIN_SECONDS)


async def delete_topics(bootstrap: str, names: Iterable[str]) -> None:
    """Returns when no client sees them any more; what is not there is none of its business."""
    doomed = set(names)
    async with admin_client(bootstrap) as admin:
        there = doomed & set(await admin.list_topics())
        if there:
            _refuse_errors((await admin.delete_topics(sorted(there))).topic_error_codes)

        async def are_gone() -> bool:
            return not doomed & set(await admin.list_topics())

        await eventually(are_gone, WITHIN_SECONDS)


async def delete_records(bootstrap: str, topic: str, partition: int, *, before: int) -> None:
    """Cuts what lies before the offset, as a retention does."""
    async with admin_client(bootstrap) as admin:
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before_offset=before)})


@asynccontextmanager
async def admin_client(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


def _refuse_errors(answers: Iterable[tuple[Any, ...]]) -> None:
    failed = {name: for_code(code).__name__ for name, code, *_ in answers if code}
    assert not failed, failed
