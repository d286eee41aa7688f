"""Connections to Postgres with asyncpg; engine.py has SQLAlchemy's over the same.

Every connection ends its transaction when its process stands still between two statements, so that a stopped owner
can't block its successor; watch.py ends that of one which stands still within a statement.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import asyncpg

from shared.errors import AccordError

_SCHEMES: Final = ("postgresql+asyncpg://", "postgresql://", "postgres://")
IDLE_IN_TRANSACTION_SECONDS: Final = 10
_TCP_USER_TIMEOUT_SECONDS: Final = 10
_CONNECT_SECONDS: Final = 10.0
_PORT: Final = "5432"
_UNREADABLE: Final = (
    "the database's address, ACCORD_DATABASE_URL, can't be read: it must be like "
    "postgresql://user:password@host:5432/database, with the port a number from 1 to 65535, and the signs / : @ of a "
    "password written as %2F %3A %40"
)

Connect = Callable[..., Awaitable[asyncpg.Connection]]  # `asyncpg.connect`, or what is called as it is


class CannotConnect(AccordError):
    """The database can't be reached, or doesn't let this process in."""


def dsn(database_url: str) -> str:
    """The address as asyncpg and psql know it: `postgresql://…`."""
    for scheme in _SCHEMES:
        if database_url.startswith(scheme):
            return "postgresql://" + database_url.removeprefix(scheme)
    raise ValueError("a database address begins with postgresql:// (or postgres://, or postgresql+asyncpg://)")


def connect_options(application_name: str) -> dict[str, Any]:
    """What every `asyncpg.connect` and `create_pool` of Accord is given."""
    return {
        "timeout": _CONNECT_SECONDS,
        "server_settings": {
            "application_name": application_name,
            "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
            "tcp_user_timeout": f"{_TCP_USER_TIMEOUT_SECONDS}s",
            "timezone": "UTC",
        },
    }


async def connect(database_url: str, application_name: str, **session: str) -> asyncpg.Connection:
    """One connection; `session` are more settings of it. Raises CannotConnect, which says in a sentence why there is
    none."""
    options = connect_options(application_name)
    options["server_settings"] |= session
    try:
        return await asyncpg.connect(dsn(database_url), **options)
    except TimeoutError as error:
        raise CannotConnect(f"cannot connect to the database: no answer within {_CONNECT_SECONDS:g} s") from error
    except asyncpg.InterfaceError as error:
        raise CannotConnect(f"cannot connect to the database{_place(database_url)}: {error}") from None
    except ValueError:
        # Without what asyncpg says: it took a part of the address for a port, which may be a part of the password.
        raise CannotConnect(_UNREADABLE) from None
    except (OSError, asyncpg.PostgresError) as error:
        raise CannotConnect(f"cannot connect to the database{_place(database_url)}: {error}") from error


def _place(database_url: str) -> str:
    """Where an address leads, which an error of the system leaves out; without its user and password."""
    parts = urlsplit(database_url)
    asked = dict(parse_qsl(parts.query))
    host, port = asked.get("host", ""), asked.get("port", _PORT)
    by_query = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else host
    _, at, named = parts.netloc.rpartition("@")
    place = named if at and named else by_query  # without an @ it may be the half of a password with a slash in it
    return f" at {place}" if place else ""


async def create_pool(
    database_url: str,
    *,
    application_name: str = "accord",
    min_size: int = 1,
    max_size: int = 10,
    init: Callable[[asyncpg.Connection], Awaitable[None]] | None = None,
    connect: Connect = asyncpg.connect,
) -> asyncpg.Pool:
    """An open asyncpg pool; close it with `await pool.close()`. Who takes a connection from it changes nothing of its
    session: no SET that outlives the transaction, no session's lock, no LISTEN."""
    options = connect_options(application_name)
    return await asyncpg.create_pool(
        dsn(database_url),
        min_size=min_size,
        max_size=max_size,
        init=init,
        reset=_change_nothing,
        connect=connect,
        **options,
    )


async def _change_nothing(_: asyncpg.Connection) -> None:
    """asyncpg would ask Postgres to forget what the session was told: a second round trip for each statement. It still
    rolls back a transaction that was left open."""
