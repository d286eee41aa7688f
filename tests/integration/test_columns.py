"""Rows that go to Postgres as columns arrive as they were, whichever way each column goes."""

import random
from datetime import UTC, datetime, timedelta, timezone
from math import pi
from typing import Any
from uuid import UUID

import asyncpg

from shared.db.columns import Columns

TYPES = ("uuid", "smallint", "integer", "bigint", "double precision", "timestamptz", "text", "bytea")
COLUMNS = Columns(*TYPES)
READ = f"SELECT {COLUMNS.unnested()}"

INSTANTS = (
    datetime(2000, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 11, 26, 8, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(9999, 12, 31, tzinfo=UTC),
)
NUMBERS = (0.0, -0.0, 1.0, pi, 1e-300, -5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e22)
TEXTS = ("", "null", "NULL", 'a "quoted", {braced} \\ text', "line\nbreak\tä €𝄞")


def row(chosen: random.Random) -> tuple[Any, ...]:
    """Any value of each type, or none."""
    values = (
        UUID(int=chosen.getrandbits(128)),
        chosen.choice((-(2**15), 2**15 - 1, 0)),
        chosen.choice((-(2**31), 2**31 - 1, 7)),
        chosen.choice((-(2**63), 2**63 - 1, 1_795_680_299_960_870)),
        chosen.choice((*NUMBERS, chosen.random())),
        chosen.choice((*INSTANTS, INSTANTS[0] + timedelta(microseconds=chosen.getrandbits(50)))),
        chosen.choice(TEXTS),
        chosen.randbytes(chosen.randrange(5)),
    )
    return tuple(None if chosen.random() < 0.2 else value for value in values)


async def read(pool: asyncpg.Pool, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(found) for found in await pool.fetch(READ, *COLUMNS.of(rows))]


async def test_every_value_arrives_as_it_was(pool: asyncpg.Pool) -> None:
    chosen = random.Random(19)
    rows = [row(chosen) for _ in range(500)]
    assert await read(pool, rows) == rows


async def test_a_column_without_a_value_is_as_long_as_the_others(pool: asyncpg.Pool) -> None:
    rows: list[tuple[Any, ...]] = [(UUID(int=number), *[None] * (len(TYPES) - 1)) for number in range(3)]
    assert await read(pool, rows) == rows


async def test_one_row_is_a_column_of_one(pool: asyncpg.Pool) -> None:
    only = (UUID(int=1), 1, 2, 3, 4.5, INSTANTS[2], TEXTS[3], b"\x00")
    assert await read(pool, [only]) == [only]
