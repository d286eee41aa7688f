"""The partition that an operator names: that there is one, and `accord resume`, which lets it go on after a stop."""

from typing import Any

from shared.db.connections import connect
from shared.errors import AccordError
from shared.events.topics import READERS
from shared.stream.operations import partitions_of, resume_partition


class NoSuchPartition(AccordError):
    """No service reads a partition of this name."""


class NotStopped(AccordError):
    """The partition is not stopped."""


async def require_partition(connection: Any, service: str, partition: int) -> None:
    """Raises NoSuchPartition, which says which there are."""
    if service not in READERS:
        raise NoSuchPartition(f"{service} reads no partitions; {', '.join(READERS)} do")
    count = await partitions_of(connection)
    if not 0 <= partition < count:
        raise NoSuchPartition(f"there is no {service}/{partition}: this Accord has the partitions 0 to {count - 1}")


async def resume(database_url: str, service: str, partition: int) -> None:
    """Raises NoSuchPartition or NotStopped."""
    connection = await connect(database_url, "accord-resume")
    try:
        await require_partition(connection, service, partition)
        if not await resume_partition(connection, service, partition):
            raise NotStopped(f"{service}/{partition} is not stopped")
    finally:
        await connection.close()
