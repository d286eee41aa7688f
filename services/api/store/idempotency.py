"""The first answers to calls that carried an Idempotency-Key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.store.database import Database
from services.api.store.tables import IDEMPOTENCY

_SWEPT_AT_ONCE_MAX = 100


class KeyReused(Exception):
    """The Idempotency-Key belongs to another request."""


@dataclass(frozen=True)
class IdempotentCall:
    """Who calls, with which key, with what, and since when an answer is still repeated."""

    key_id: str
    idempotency_key: str
    request_sha256: bytes
    not_before: datetime


class Answer(NamedTuple):
    """A status and a body without secrets."""

    status: int
    body: Mapping[str, Any]


class IdempotencyStore:
    """Keeps answers for as long as a repeat may come."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def first_answer(self, connection: AsyncConnection, call: IdempotentCall) -> Answer | None:
        """The answer given before, if one was. Raises KeyReused."""
        statement = select(IDEMPOTENCY).where(
            IDEMPOTENCY.c.key_id == call.key_id,
            IDEMPOTENCY.c.idempotency_key == call.idempotency_key,
            IDEMPOTENCY.c.created_at >= call.not_before,
        )
        row = (await connection.execute(statement)).mappings().first()
        if row is None:
            return None
        if bytes(row["request_sha256"]) != call.request_sha256:
            raise KeyReused
        return Answer(row["status"], row["body"])

    async def claim(self, connection: AsyncConnection, call: IdempotentCall) -> Answer | None:
        """Reserves the key for this transaction; a concurrent call with the same key waits here for its end.

        Returns the first answer if there is one already; else the caller must `keep` its own before it commits.
        """
        await self._sweep(connection, call)
        if await self._insert(connection, call, Answer(0, {})):
            return None
        return await self.first_answer(connection, call)

    async def keep(self, connection: AsyncConnection, call: IdempotentCall, answer: Answer) -> Answer:
        """Keeps the answer of a claimed call."""
        statement = IDEMPOTENCY.update().where(
            IDEMPOTENCY.c.key_id == call.key_id, IDEMPOTENCY.c.idempotency_key == call.idempotency_key
        )
        await connection.execute(statement.values(status=answer.status, body=dict(answer.body)))
        return answer

    async def open(self, call: IdempotentCall, body: Mapping[str, Any]) -> Answer:
        """Reserves the key for good, with status 0 until `close`; returns what the first call with it reserved."""
        async with self.database.transaction() as connection:
            await self._sweep(connection, call)
            if await self._insert(connection, call, Answer(0, body)):
                return Answer(0, body)
            return await self.first_answer(connection, call) or Answer(0, body)

    async def close(self, call: IdempotentCall, answer: Answer) -> None:
        """What an opened call was to do is done."""
        async with self.database.transaction() as connection:
            await self.keep(connection, call, answer)

    async def _insert(self, connection: AsyncConnection, call: IdempotentCall, answer: Answer) -> bool:
        statement = upsert(IDEMPOTENCY).values(
            key_id=call.key_id,
            idempotency_key=call.idempotency_key,
            request_sha256=call.request_sha256,
            status=answer.status,
            body=dict(answer.body),
            created_at=func.clock_timestamp(),
        )
        result = await connection.execute(statement.on_conflict_do_nothing())
        return bool(result.rowcount)

    async def _sweep(self, connection: AsyncConnection, call: IdempotentCall) -> None:
        """Old answers go as new ones come; the call's own old answer must go first of all."""
        old = (
            select(IDEMPOTENCY.c.key_id, IDEMPOTENCY.c.idempotency_key)
            .where(IDEMPOTENCY.c.created_at < call.not_before)
            .order_by(IDEMPOTENCY.c.created_at)
            .limit(_SWEPT_AT_ONCE_MAX)
            .with_for_update(skip_locked=True)
        )
        expired = [tuple(row) for row in (await connection.execute(old)).all()]
        pair = tuple_(IDEMPOTENCY.c.key_id, IDEMPOTENCY.c.idempotency_key)
        statement = delete(IDEMPOTENCY).where(IDEMPOTENCY.c.created_at < call.not_before)
        await connection.execute(statement.where(pair.in_([*expired, (call.key_id, call.idempotency_key)])))
