"""Rows as the arrays that one statement unnests, a parameter for each column.

Numbers and times go as the text of an array. msgspec writes it in a part of the time that asyncpg takes for the array
itself (0.05 and 0.6 µs a time), which looks at each value whether it is an array too, and brings each time to UTC by
Python's own means. Postgres reads such a text nearly as fast. Ids don't: there it takes longer than is gained here.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

_WRITTEN: Final = frozenset({"timestamptz", "smallint", "integer", "bigint", "double precision"})
_encode = msgspec.json.Encoder().encode


class Columns:
    """Columns of these types, in their order."""

    def __init__(self, *types: str) -> None:
        self._types = types

    def arrays(self, first: int = 1) -> list[str]:
        """The parameters, numbered from `first`, as arrays in SQL."""
        return [
            f"${number}::text::{type}[]" if type in _WRITTEN else f"${number}::{type}[]"
            for number, type in enumerate(self._types, first)
        ]

    def unnested(self, first: int = 1) -> str:
        """The columns in a select list: what unnest gives there isn't put by in between."""
        return ", ".join(f"unnest({array})" for array in self.arrays(first))

    def of(self, rows: Sequence[Sequence[Any]]) -> list[Any]:
        """A value for each parameter. A column without a value is empty: in a select list it is as long as the others,
        and nothing of it is sent. Numbers are finite."""
        return [
            _written(column) if type in _WRITTEN else _sent(column)
            for type, column in zip(self._types, zip(*rows, strict=True), strict=True)
        ]


def columns(rows: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """Rows as arrays of whatever types, for a statement that unnests all of them in one call, which makes an empty one
    as long as the others too."""
    return [_sent(column) for column in zip(*rows, strict=True)]


def _written(column: Sequence[Any]) -> str:
    return "{}" if _is_empty(column) else f"{{{_encode(column)[1:-1].decode()}}}"


def _sent(column: Sequence[Any]) -> Sequence[Any]:
    return () if _is_empty(column) else column


def _is_empty(column: Sequence[Any]) -> bool:
    return column[0] is None and column.count(None) == len(column)
