"""A stored row beside its fold, in words that show no text of a lead's."""

import json
from datetime import UTC, datetime

from services.audit.comparing import describe, misnumbered
from shared.events.lifecycle import Stage

COLUMNS = ("lead_id", "stage", "owner", "points", "at", "state")
PACKED = {"state": json.loads}
ROW = (1, "mql", "ada@sales.example", 40.5, None, '{"email": "a@b.example", "number": 3}')
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_equal_rows_differ_in_nothing_however_their_json_is_written() -> None:
    other = (*ROW[:-1], '{"number":3,"email":"a@b.example"}')
    assert describe(COLUMNS, ROW, ROW, packed=PACKED) is None
    assert describe(COLUMNS, ROW, other, packed=PACKED) is None


def test_numbers_times_and_closed_vocabularies_are_shown() -> None:
    folded = (1, Stage.SAL, ROW[2], 41, NOON, ROW[5])
    assert describe(COLUMNS, ROW, folded, packed=PACKED) == (
        "stage is mql, not sal, points is 40.5, not 41, at is empty, not 2026-03-02T12:00:00+00:00"
    )


def test_text_is_never_shown() -> None:
    folded = (*ROW[:2], "grace@sales.example", *ROW[3:5], '{"email": "c@d.example", "number": 4}')
    said = describe(COLUMNS, ROW, folded, packed=PACKED)
    assert said == "owner differs, state.email differs, state.number is 3, not 4"


def test_a_state_that_this_release_cannot_read_is_a_difference() -> None:
    assert describe(COLUMNS, (*ROW[:5], "{"), ROW, packed=PACKED) == "state can't be read"


def test_a_row_without_history_and_a_history_without_row_are_told_apart() -> None:
    assert describe(COLUMNS, None, None) is None
    assert describe(COLUMNS, None, ROW) == "has no row, though there is a history of it"
    assert describe(COLUMNS, ROW, None) == "has a row, though there is no history of it"


def test_the_first_number_out_of_turn_is_named() -> None:
    assert misnumbered([1, 2, 3]) is None
    assert misnumbered([1, 3, 3]) == "number 3 stands where 2 should"
