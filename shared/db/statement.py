"""Several writes as one statement, so that a step costs one round trip and not one each.

A write is a list of common table expressions. Their parameters are numbered from $1 in each, and shifted here. Postgres
runs all of them, or none if one fails or doesn't find what it expects.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import asyncpg

from shared.errors import Surroundings

Connection = Any  # asyncpg ships no types

# What stream.refuse raises (migration 0034), with the write's place in its detail.
_REFUSED: Final = "AC001"
_PARAMETER: Final = re.compile(r"\$(\d+)")
_STATEMENTS_MAX: Final = 200


class Write(NamedTuple):
    """Part of a step's last statement.

    `tables` is `name AS (…), …`, under names of its own. `counted`, if given, is a query that must come to `expected`:
    if it doesn't, nothing of the statement happens, and `explain` says why, called when that is rolled back.
    """

    tables: str
    values: Sequence[Any]
    counted: str | None = None
    expected: int = 0
    explain: Callable[[Connection], Awaitable[Exception]] | None = None


class Refused(Exception):
    """A write didn't find what it expects."""

    def __init__(self, write: Write) -> None:
        super().__init__(write.counted)
        self._write = write

    async def reason(self, connection: Connection) -> Exception:
        """What is to be raised instead, once the step is rolled back."""
        explain = self._write.explain
        return (
            Surroundings(f"a write didn't find what it expects: {self}")
            if explain is None
            else await explain(connection)
        )


async def write_all(connection: Connection, writes: Sequence[Write], answer: str = "NULL") -> Any:
    """Runs these as one statement. Their counts are looked at in their order: what stands first is locked first.
    Returns the value of `answer`, an expression over their tables. Raises Refused."""
    text = _text(tuple([(write.tables, len(write.values), write.counted) for write in writes]), answer)
    values = [value for write in writes for value in write.values]
    counts = [write.expected for write in writes if write.counted is not None]
    try:
        return (await connection.fetchrow(text, *values, *counts))[-1]
    except asyncpg.PostgresError as error:
        if error.sqlstate != _REFUSED:
            raise
        raise Refused(writes[int(error.detail)]) from None


@lru_cache(maxsize=_STATEMENTS_MAX)
def _text(parts: tuple[tuple[str, int, str | None], ...], answer: str) -> str:
    tables: list[str] = []
    shift = 0
    for part, values, _ in parts:
        tables.append(_shifted(part, shift))
        shift += values
    checks: list[str] = []
    for place, (_, _, counted) in enumerate(parts):
        if counted is not None:
            shift += 1
            checks.append(f"CASE WHEN ({counted}) <> ${shift}::bigint THEN stream.refuse('{place}') END")
    return f"WITH {', '.join(tables)} SELECT {', '.join([*checks, answer])}"


def _shifted(text: str, by: int) -> str:
    return _PARAMETER.sub(lambda found: f"${int(found[1]) + by}", text)
