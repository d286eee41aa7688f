"""How much of what a source sent could be used, and why the rest could not."""

from typing import Any

import pytest

from services.api.pages.quality import Reason, quality, reasons


def event(reason: str | None = None, *items: dict[str, Any]) -> dict[str, Any]:
    return {"standing": "rejected", "reason": reason, "items": list(items)}


@pytest.mark.parametrize(
    ("sent", "share", "tone"),
    [
        ({}, None, ""),
        ({"duplicate": 5, "ignored": 7}, None, ""),
        ({"accepted": 98, "rejected": 2, "duplicate": 50}, 0.98, "tone-good"),
        ({"accepted": 40, "unmapped": 55, "unreadable": 5}, 0.95, "tone-soon"),
        ({"accepted": 1, "refused": 1, "incomplete": 2}, 0.25, "tone-bad"),
    ],
)
def test_repeats_and_what_was_left_out_say_nothing_about_quality(
    sent: dict[str, int], share: float | None, tone: str
) -> None:
    assert (quality(sent).share, quality(sent).tone) == (share, tone)


def test_each_item_of_a_request_counts_by_its_field_and_what_is_wrong_with_it() -> None:
    email = {"path": ".lead.email", "message": "must be an email address"}
    when = {"path": "occurred_at", "message": "must not be before 2000-01-01"}
    of_two = event("lead.email: … (and 1 more)", {"errors": [email]}, {"errors": [email, when]})
    assert reasons(
        [of_two, event(None, {"standing": "incomplete", "why": "names nobody"}), event("wrong signature")]
    ) == [
        Reason("lead.email: must be an email address", 2),
        Reason("occurred_at: must not be before 2000-01-01", 1),
        Reason("names nobody", 1),
        Reason("wrong signature", 1),
    ]


def test_without_any_word_its_standing_is_the_reason() -> None:
    assert reasons([event()]) == [Reason("rejected", 1)]
