"""Promises on many leads as a page shows them."""

from typing import Any

import pytest
from markupsafe import escape

from services.api.pages.promised import WIDTH, promised


def item(**changes: Any) -> dict[str, Any]:
    period = {"unit": "week", "since": "2026-11-23T00:00:00Z", "until": "2026-11-30T00:00:00Z"}
    given = {"promise": "leads-per-week", "of": "marketing", "period": period, "state": "running", "target": 120}
    figures = {"reached": 30, "numerator": 30, "denominator": None, "measure": "leads", "currency": None}
    return {**given, **figures, "pace": 60.0, "behind": True, "told": {"state": "running"}, **changes}


def test_a_count_is_drawn_with_what_would_be_due_by_now() -> None:
    (row,) = promised([item(), item(state="breached", told={"state": "breached", "reached": 90})])
    assert (row.reached, row.target, row.of_what) == ("30", "120", None)
    assert (row.standing, row.is_behind, row.former, row.was_broken) == ("behind", True, "90, broken", True)
    assert 'aria-label="30 of 120, 60 due by now"' in row.gauge
    assert f'class="part" width="{WIDTH // 4}"' in row.gauge
    assert f'class="pace" x="{(WIDTH - 2) // 2}"' in row.gauge


def test_a_share_says_of_what_and_has_no_pace() -> None:
    sold = {"numerator": 12_000.0, "denominator": 30_000.0, "measure": "amount", "currency": "EUR", "target": 0.4}
    (row,) = promised(
        [
            item(**sold, reached=0.4, pace=0.2, behind=False),
            item(**sold, state="kept", told={"state": "kept", "reached": None}),
        ]
    )
    assert (row.reached, row.target, row.of_what) == ("40 %", "40 %", "12,000 of 30,000 EUR")
    assert (row.standing, row.is_behind, row.former, row.was_broken) == ("reached", False, "kept", False)
    assert "pace" not in row.gauge
    assert f'class="part" width="{WIDTH}"' in row.gauge


@pytest.mark.parametrize(
    ("changes", "standing"),
    [({"behind": False}, "running"), ({"behind": None}, "running"), ({"reached": 500}, "reached")],
)
def test_how_it_stands_is_one_word(changes: dict[str, Any], standing: str) -> None:
    (row,) = promised([item(**changes)])
    assert (row.standing, row.former) == (standing, None)


def test_a_period_that_is_not_judged_blames_nobody() -> None:
    (row,) = promised([item(told=None), item(state="breached", reached=0, told=None)])
    assert (row.standing, row.is_behind) == ("judged from the next period on", False)
    assert (row.former, row.was_broken) == (None, False)


def test_names_are_escaped_where_they_are_drawn_and_none_is_lost() -> None:
    rows = promised([item(promise=name) for name in ("a", "b", "c")])
    assert [row.name for row in rows] == ["a", "b", "c"]
    assert escape(rows[0].gauge) == rows[0].gauge
