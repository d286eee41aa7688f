"""A SQLAlchemy engine, for what the api reads; a module of its own because SQLAlchemy is slow to import."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from pydantic_core import from_json, to_json
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.db.connections import Connect, connect_options, dsn


def create_engine(
    database_url: str,
    *,
    application_name: str = "accord",
    pool_size: int = 5,
    init: Callable[[asyncpg.Connection], Awaitable[None]] | None = None,
    connect: Connect = asyncpg.connect,
) -> AsyncEngine:
    """A SQLAlchemy engine over asyncpg; nothing is connected before its first use. `init` is given each new one."""
    address, options = dsn(database_url), connect_options(application_name)

    async def create() -> asyncpg.Connection:
        connection = await connect(address, **options)
        if init is not None:
            await init(connection)
        return connection

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=create,
        pool_size=pool_size,
        max_overflow=0,
        pool_use_lifo=True,  # few connections that are warm take less than all in turn
        json_serializer=lambda value: to_json(value).decode(),
        json_deserializer=from_json,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """Has the pool make another one. The driver knows when the server has closed a connection; SQLAlchemy's own ping
    asks the server, in a transaction of its own: half of the round trips of a small read."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError
