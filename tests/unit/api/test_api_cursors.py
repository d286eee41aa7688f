"""Cursors give back what they were made of, and nothing else is one."""

from datetime import datetime
from uuid import UUID

import pytest
from builders import NAMES, NOON

from services.api.store.cursors import InvalidCursor, decode_cursor, encode_cursor

TYPES = (datetime, float, UUID)


def test_a_cursor_gives_back_its_keys_exactly() -> None:
    keys = (NOON, 0.1 + 0.2, NAMES)
    assert decode_cursor(encode_cursor("leads", keys), "leads", TYPES) == keys
    assert decode_cursor(None, "leads", TYPES) is None


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "bnVsbA", "WzFd", "é", "W10", "WyJsZWFkcyIsMSwyLDNd"])
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(cursor, "leads", TYPES)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(encode_cursor("clocks", (NOON, 1.0, NAMES)), "leads", TYPES)


def test_values_that_postgres_could_not_hold_are_refused() -> None:
    for value, type_ in (("a\0b", str), (2**40, int), ("2026-01-01T00:00:00", datetime)):
        with pytest.raises(InvalidCursor):
            decode_cursor(encode_cursor("x", (value,)), "x", (type_,))
