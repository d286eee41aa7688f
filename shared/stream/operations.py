"""What an operator does to the stream from outside: let a stopped partition go on, apply a dead letter again."""

from typing import Any
from uuid import UUID


async def resume_partition(connection: Any, service: str, partition: int) -> bool:
    """Ends a breaker's stop; False if this partition was not stopped. Its runner notices within a second."""
    status = await connection.execute(
        """UPDATE stream.ownership SET breaker = '{}' WHERE service = $1 AND kind = 'partition' AND number = $2
        AND (breaker ->> 'is_stopped')::boolean""",
        service,
        partition,
    )
    return bool(status == "UPDATE 1")


async def ask_replay(connection: Any, letter_id: UUID) -> bool:
    """Asks the owner of a dead letter's partition to apply it again; False if there is no such open letter."""
    status = await connection.execute(
        "UPDATE stream.dead_letters SET state = 'replaying' WHERE letter_id = $1 AND state = 'open'", letter_id
    )
    return bool(status == "UPDATE 1")
