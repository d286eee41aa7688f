"""A SQLAlchemy engine, for what the api reads; a module of its own because SQLAlchemy is slow to import."""

from collections.abc import Awaitable, Callable

import asyncpg
from pydantic_core import from_json, to_json
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.db.connections import connect_options, dsn


def create_engine(
    database_url: str,
    *,
    application_name: str = "accord",
    pool_size: int = 5,
    init: Callable[[asyncpg.Connection], Awaitable[None]] | None = None,
) -> AsyncEngine:
    """A SQLAlchemy engine over asyncpg; nothing is connected before its first use. `init` is given each new one."""
    address, options = dsn(database_url), connect_options(application_name)

    async def connect() -> asyncpg.Connection:
        connection = await asyncpg.connect(address, **options)
        if init is not None:
            await init(connection)
        return connection

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        json_serializer=lambda value: to_json(value).decode(),
        json_deserializer=from_json,
    )
