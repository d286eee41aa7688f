"""What asyncpg raises when Postgres goes away in mid-call: never a fault of the event, of the caller, or of a loop."""

import asyncio
from typing import Any, NoReturn

import asyncpg
import pytest
from builders import eventually
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from services.api.store.database import Database
from shared.db.engine import create_engine
from shared.errors import Unavailable
from shared.http.problems import problem_of
from shared.stream.faults import is_poison
from shared.stream.lag import LagMonitor
from shared.stream.metrics import Metrics

AWAY = (
    ConnectionRefusedError(),
    TimeoutError(),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
    asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    asyncpg.CannotConnectNowError("the database system is starting up"),
    asyncpg.TooManyConnectionsError("sorry, too many clients already"),
)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
def test_a_database_that_goes_away_is_answered_503_and_buries_no_event(error: Exception) -> None:
    problem = problem_of(error)
    assert problem is not None
    assert problem.status == 503
    assert "Retry-After" in problem.headers
    assert not is_poison(error)


@pytest.mark.parametrize("error", AWAY, ids=lambda error: type(error).__name__)
async def test_what_sqlalchemy_makes_of_it_is_unavailable_too(error: Exception) -> None:
    async def connect(*_: Any, **__: Any) -> NoReturn:
        raise error

    database = Database(create_engine("postgresql://nowhere/accord", connect=connect))
    with pytest.raises(Unavailable):
        await database.rows(text("SELECT 1"))
    with pytest.raises(Unavailable):
        await database.lookup("SELECT 1")
    with pytest.raises(Unavailable):
        async with database.transaction():
            pass


class _PoolOfLostConnections:
    """Raises each of the errors in turn, then has nothing to tell."""

    def __init__(self) -> None:
        self.left = list(AWAY)

    async def fetch(self, *_: Any) -> list[Any]:
        if self.left:
            raise self.left.pop()
        return []


async def test_a_loop_goes_on_whatever_a_lost_connection_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.stream.lag.PAUSE_SECONDS", 0)
    pool = _PoolOfLostConnections()
    loop = asyncio.create_task(LagMonitor(pool, Metrics(CollectorRegistry())).run())
    await eventually(lambda: not pool.left)
    assert not loop.done()
    loop.cancel()
