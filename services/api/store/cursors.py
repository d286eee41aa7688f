"""Opaque cursors: the sort keys of the last item of a page, and what the list was sorted by."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_

Keys = tuple[Any, ...]


class InvalidCursor(ValueError):
    """The cursor is not one of this list."""


def encode_cursor(kind: str, keys: Sequence[Any]) -> str:
    text = json.dumps([kind, *(_to_json(key) for key in keys)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, kind: str, types: Sequence[type]) -> Keys | None:
    """The keys after which the page begins. Raises InvalidCursor."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found, *values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if found != kind or len(values) != len(types):
            raise InvalidCursor("is a cursor of another list")
        return tuple(_from_json(value, type_) for value, type_ in zip(values, types, strict=True))
    except (ValueError, TypeError, RecursionError, OverflowError, binascii.Error) as error:
        raise InvalidCursor("is not a cursor that this list gave") from error


def after(columns: Sequence[tuple[ColumnElement[Any], bool]], keys: Keys) -> ColumnElement[bool]:
    """The rows after these keys in the order of the columns; True stands for descending."""
    clauses = []
    for last in range(len(columns)):
        equal = [columns[i][0] == keys[i] for i in range(last)]
        column, is_descending = columns[last]
        clauses.append(and_(*equal, column < keys[last] if is_descending else column > keys[last]))
    # The bound on the first column alone is what lets an index start in the right place.
    first, is_descending = columns[0]
    return and_(first <= keys[0] if is_descending else first >= keys[0], or_(*clauses))


def _to_json(key: Any) -> Any:
    return key.isoformat() if isinstance(key, datetime) else str(key) if isinstance(key, UUID) else key


def _from_json(value: Any, type_: type) -> Any:
    if type_ is datetime:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            raise ValueError(value)
        return found
    if type_ is UUID:
        return UUID(value)
    if type_ is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type_ is int and abs(value) > 2**31 - 1:
        raise ValueError(value)
    if not isinstance(value, type_) or "\0" in str(value):
        raise ValueError(value)
    return value
