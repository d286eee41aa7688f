"""What both FastStream applications share: the message as pydantic reads it, and the lead's row in Postgres."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
from faststream import ContextRepo
from pydantic import BaseModel

from benchmarks.rivals import where

_TABLE = "CREATE TABLE IF NOT EXISTS leads (lead_id text PRIMARY KEY, state jsonb NOT NULL)"


class Activity(BaseModel):
    """As it lies on the topic."""

    type: str
    occurred_at: datetime
    received_at: datetime
    source: str
    campaign: str | None = None
    identifiers: dict[str, str]
    data: dict[str, Any]


@asynccontextmanager
async def lifespan(context: ContextRepo) -> AsyncIterator[None]:
    """A pool of connections for as long as the application runs."""
    async with asyncpg.create_pool(where.DATABASE_URL, min_size=where.PARTITIONS, init=_read_json) as pool:
        await pool.execute(_TABLE)
        context.set_global("pool", pool)
        yield


async def _read_json(connection: Any) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
