"""Dead letters: read as `stream` publishes them; what becomes of them is decided through its own operations."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import select

from services.api.store.cursors import Keys, after
from services.api.store.database import ACTING, Database, Row
from services.api.store.tables import DEAD_LETTERS
from shared.stream import operations

_LOCK = "SELECT state FROM stream.dead_letters WHERE letter_id = $1 FOR UPDATE"
_ACT = "SELECT set_config('accord.actor', $1, true)"
_NOTE = "SELECT api.note($1, 'dead-letter', $2, NULL, NULL)"

Operation = Callable[[Any, UUID], Awaitable[bool]]


@dataclass(frozen=True)
class LetterFilter:
    """What the list is narrowed to; None doesn't narrow."""

    state: str | None = None
    service: str | None = None
    kind: str | None = None
    lead_id: UUID | None = None


class DeadLetterStore:
    """Reads with the api's role; operations have the rights of `stream`'s owner, and do nothing else with them."""

    def __init__(self, database: Database, pool: asyncpg.Pool) -> None:
        self._database = database
        self._pool = pool

    async def page(self, wanted: LetterFilter, keys: Keys | None, limit: int) -> Sequence[Row]:
        """The latest first, without what they say."""
        letters = DEAD_LETTERS.c
        statement = select(*(column for column in letters if column.name != "value"))
        for name in ("state", "service", "kind", "lead_id"):
            if (value := getattr(wanted, name)) is not None:
                statement = statement.where(letters[name] == value)
        columns = [(letters.buried_at, True), (letters.letter_id, True)]
        if keys is not None:
            statement = statement.where(after(columns, keys))
        return await self._database.rows(statement.order_by(*(column.desc() for column, _ in columns)).limit(limit))

    async def letter(self, letter_id: UUID) -> Row | None:
        return await self._database.row(select(DEAD_LETTERS).where(DEAD_LETTERS.c.letter_id == letter_id))

    async def replay(self, letter_id: UUID) -> str | None:
        """Asks for it, once. Returns the state that it had before; None if there is no such letter."""
        return await self._operate(letter_id, operations.ask_replay, "dead-letter.replay-asked")

    async def discard(self, letter_id: UUID) -> str | None:
        """The same for giving it up."""
        return await self._operate(letter_id, operations.discard, "dead-letter.discarded")

    async def _operate(self, letter_id: UUID, operation: Operation, action: str) -> str | None:
        principal = ACTING.get()
        assert principal is not None
        actor = {"id": principal.key_id, "name": principal.name, "role": principal.role}
        async with self._pool.acquire() as connection, connection.transaction():
            state: str | None = await connection.fetchval(_LOCK, letter_id)
            if await operation(connection, letter_id):
                await connection.execute(_ACT, json.dumps(actor))
                await connection.execute(_NOTE, action, str(letter_id))
        return state
