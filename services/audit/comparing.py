"""A stored row beside the row that a fold gives: what differs, in words. Text is never shown, it may be personal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any

Row = Sequence[Any]
Unpack = Callable[[str], Mapping[str, Any]]


def describe(
    columns: Sequence[str], stored: Row | None, folded: Row | None, *, packed: Mapping[str, Unpack] | None = None
) -> str | None:
    """None when both are the same. `packed` names the columns that hold JSON text, each with what makes fields of it:
    the same fields are the same, however they are written."""
    if stored is None:
        return None if folded is None else "has no row, though there is a history of it"
    if folded is None:
        return "has a row, though there is no history of it"
    if tuple(stored) == tuple(folded):
        return None
    found: list[str] = []
    for column, is_, should in zip(columns, stored, folded, strict=True):
        if is_ == should:
            continue
        if packed is not None and column in packed:
            found += _unpacked(column, is_, should, packed[column])
        else:
            found.append(_in_words(column, is_, should))
    return ", ".join(found) if found else None


def misnumbered(numbers: Sequence[int]) -> str | None:
    """What is wrong with the numbers of one lead's history, in its order."""
    for expected, number in enumerate(numbers, 1):
        if number != expected:
            return f"number {number} stands where {expected} should"
    return None


def _unpacked(column: str, stored: str, folded: str, unpack: Unpack) -> Iterator[str]:
    try:
        fields = unpack(stored)
    except ValueError:
        yield f"{column} can't be read"
        return
    yield from _in_fields(column, fields, unpack(folded))


def _in_fields(name: str, stored: Mapping[str, Any], folded: Mapping[str, Any]) -> Iterator[str]:
    for field in sorted({*stored, *folded}):
        if stored.get(field) != folded.get(field):
            yield _in_words(f"{name}.{field}", stored.get(field), folded.get(field))


def _in_words(name: str, stored: Any, folded: Any) -> str:
    """Numbers, times and words of closed vocabularies are shown."""
    if isinstance(folded, Enum):
        return f"{name} is {stored}, not {folded}"
    if all(isinstance(value, int | float | datetime | None) for value in (stored, folded)):
        return f"{name} is {_shown(stored)}, not {_shown(folded)}"
    return f"{name} differs"


def _shown(value: float | datetime | None) -> str:
    if value is None:
        return "empty"
    return value.isoformat() if isinstance(value, datetime) else str(value)
