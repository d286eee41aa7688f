"""How long each call takes over HTTP, and bare SQL of the same question on the same database, in turn."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
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

CALLS: Final = 100
SECONDS_PER_QUESTION: Final = 6.0
CALLS_MIN: Final = 5
PER_SECOND: Final = 200
SECONDS: Final = 10.0
_CONNECTIONS_MAX: Final = 64

Summary = Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """One question. `ratio` is of the medians."""

    name: str
    calls: int
    api: Summary
    sql: Summary
    target_ms: float

    @property
    def ratio(self) -> float:
        return round(self.api["p50_ms"] / max(self.sql["p50_ms"], 0.01), 1)

    @property
    def is_met(self) -> bool:
        return self.api["p99_ms"] < self.target_ms


async def measure(target: Target, database_url: str, tell: Callable[[Measured], None]) -> list[Measured]:
    """Every question; those about one lead at a fixed rate, the others one after the other."""
    sql = await asyncpg.connect(database_url)
    try:
        draws = await draws_from(sql)
        asked = Asked(target, sql, draws)
        found = []
        for question in ONE_LEAD:
            found.append(await asked.at_a_rate(question))
            tell(found[-1])
        for question in QUESTIONS:
            found.append(await asked.in_turn(question))
            tell(found[-1])
        return found
    finally:
        await sql.close()


class Asked:
    """One client of the api and one of Postgres."""

    def __init__(self, target: Target, sql: Any, draws: Draws) -> None:
        self._target = target
        self._sql = sql
        self._draws = draws

    async def in_turn(self, question: Question) -> Measured:
        """Call and SQL by turns, a call of each before the clock starts."""
        connection = await Connection.open(self._target.host, self._target.port)
        api: list[float] = []
        sql: list[float] = []
        began = time.monotonic()
        while len(api) <= CALLS and (time.monotonic() - began < SECONDS_PER_QUESTION or len(api) <= CALLS_MIN):
            drawn = self._draws()
            api.append(await self._call(connection, question, drawn, time.monotonic()))
            sql.append(await self._query(question, drawn))
        connection.close()
        return self._measured(question, api[1:], sql[1:])

    async def at_a_rate(self, question: Question) -> Measured:
        """200 calls a second on a fixed schedule, whatever the answers take; from when each was due."""
        idle = deque([await Connection.open(self._target.host, self._target.port) for _ in range(_CONNECTIONS_MAX)])
        seconds: list[float] = []
        start = time.monotonic() + 0.1

        async def ask(due: float) -> None:
            if not idle:
                raise Broken(f"{question.name}: {_CONNECTIONS_MAX} calls without an answer at {PER_SECOND}/s")
            connection = idle.popleft()
            seconds.append(await self._call(connection, question, self._draws(), due))
            idle.append(connection)

        async with asyncio.TaskGroup() as group:
            for index in range(round(PER_SECOND * SECONDS)):
                due = start + index / PER_SECOND
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(ask(due))
        for connection in idle:
            connection.close()
        sql = [await self._query(question, self._draws()) for _ in range(CALLS)]
        return self._measured(question, seconds, sql)

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

    @staticmethod
    def _measured(question: Question, api: Sequence[float], sql: Sequence[float]) -> Measured:
        return Measured(question.name, len(api), summary_ms(api), summary_ms(sql), question.target_ms)


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
