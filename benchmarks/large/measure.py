"""How long each call takes over HTTP, and bare SQL of the same question on the same database, in turn."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import asyncpg

from benchmarks.broken import Broken
from benchmarks.http_client import Connection, get_request
from benchmarks.large.questions import ONE_LEAD, QUESTIONS, Draws, Question, draws_from
from benchmarks.load import Target
from benchmarks.numbers import summary_ms
from benchmarks.processes import cpu_seconds

# So many that the slowest hundredth is more than one call.
CALLS: Final = 200
CALLS_PER_TURN: Final = 10
SECONDS_PER_QUESTION: Final = 6.0
PER_SECOND: Final = 200
SECONDS: Final = 10.0
_CONNECTIONS: Final = 64

Summary = Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """One question. `ratio` is of the medians; CPU is of Accord with its Postgres, per call."""

    name: str
    calls: int
    api: Summary
    sql: Summary
    api_cpu_ms: float
    sql_cpu_ms: float
    target_ms: float

    @property
    def ratio(self) -> float:
        return round(self.api["p50_ms"] / max(self.sql["p50_ms"], 0.01), 1)

    @property
    def is_met(self) -> bool:
        return self.api["p99_ms"] < self.target_ms


async def measure(target: Target, pid: int, database_url: str, tell: Callable[[Measured], None]) -> list[Measured]:
    """Every question; those about one lead at a fixed rate, the others one after the other."""
    sql = await asyncpg.connect(database_url)
    try:
        asked = Asked(target, pid, sql, await draws_from(sql))
        found = []
        for question in QUESTIONS:
            found.append(await asked.in_turn(question))
            tell(found[-1])
        for question in ONE_LEAD:
            found.append(await asked.at_a_rate(question))
            tell(found[-1])
        return found
    finally:
        await sql.close()


class Asked:
    """One client of the api and one of Postgres; `pid` is Accord's, whose Postgres is its child."""

    def __init__(self, target: Target, pid: int, sql: Any, draws: Draws) -> None:
        self._target = target
        self._pid = pid
        self._sql = sql
        self._draws = draws

    async def in_turn(self, question: Question) -> Measured:
        """Some calls, then as much SQL, until the time is up, then the rest of the calls; one of each before the clock
        starts."""
        connection = await Connection.open(self._target.host, self._target.port)
        api, sql = Spent(self._pid), Spent(self._pid)
        drawn = self._draws()
        await self._call(connection, question, drawn, time.monotonic())
        await self._query(question, drawn)
        began = time.monotonic()
        while len(api.seconds) < CALLS:
            turn = [self._draws() for _ in range(CALLS_PER_TURN)]
            if not connection.is_open:  # the server closes what idles while slow SQL has its turn
                connection = await Connection.open(self._target.host, self._target.port)
            with api:
                for drawn in turn:
                    api.seconds.append(await self._call(connection, question, drawn, time.monotonic()))
            if not sql.seconds or time.monotonic() - began < SECONDS_PER_QUESTION:
                with sql:
                    for drawn in turn:
                        sql.seconds.append(await self._query(question, drawn))
        connection.close()
        return _measured(question, api, sql)

    async def at_a_rate(self, question: Question) -> Measured:
        """200 calls a second on a fixed schedule, whatever the answers take; each takes from when it was due."""
        idle: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(_CONNECTIONS):
            idle.put_nowait(await Connection.open(self._target.host, self._target.port))
        api, sql = Spent(self._pid), Spent(self._pid)

        async def ask(due: float) -> None:
            connection = await idle.get()
            api.seconds.append(await self._call(connection, question, self._draws(), due))
            idle.put_nowait(connection)

        with api:
            start = time.monotonic() + 0.1
            async with asyncio.TaskGroup() as group:
                for index in range(round(PER_SECOND * SECONDS)):
                    due = start + index / PER_SECOND
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    group.create_task(ask(due))
        while not idle.empty():
            idle.get_nowait().close()
        with sql:
            for _ in range(CALLS):
                sql.seconds.append(await self._query(question, self._draws()))
        return _measured(question, api, sql)

    async def _call(self, connection: Connection, question: Question, drawn: Mapping[str, Any], since: float) -> float:
        path = question.path.format_map({name: quote(_text(value), safe="") for name, value in drawn.items()})
        answer = await connection.send(get_request(self._target.host, self._target.key, path))
        if answer.status != 200:
            raise Broken(f"GET {path}: {answer.status} {answer.body[:300].decode(errors='replace')}")
        return time.monotonic() - since

    async def _query(self, question: Question, drawn: Mapping[str, Any]) -> float:
        began = time.monotonic()
        await self._sql.fetch(question.sql, *(drawn[name] for name in question.draws))
        return time.monotonic() - began


class Spent:
    """What calls took, and what Accord and its Postgres spent on them: on a busy machine only this means much."""

    def __init__(self, pid: int) -> None:
        self.seconds: list[float] = []
        self._pid = pid
        self._cpu = self._before = 0.0

    @property
    def cpu_ms(self) -> float:
        return round(self._cpu / len(self.seconds) * 1_000, 2)

    def __enter__(self) -> None:
        self._before = cpu_seconds(self._pid)

    def __exit__(self, *error: object) -> None:
        self._cpu += cpu_seconds(self._pid) - self._before


def _measured(question: Question, api: Spent, sql: Spent) -> Measured:
    times = (summary_ms(api.seconds), summary_ms(sql.seconds), api.cpu_ms, sql.cpu_ms)
    return Measured(question.name, len(api.seconds), *times, question.target_ms)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
