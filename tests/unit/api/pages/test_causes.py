"""Why a promise is broken, or isn't any more."""

from typing import Any

import pytest

from services.api.pages.causes import DONE, cause
from shared.events.sales import Action

CLOCK: dict[str, Any] = {
    "state": "breached",
    "stops": ["contacted"],
    "hours": "business",
    "deadline": "2026-11-23T15:00:00Z",
    "resolved_at": None,
    "voided_at": None,
    "closed_at": None,
    "response_seconds": None,
    "lagging": False,
}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "It was not contacted in time, and hasn't been since."),
        (
            {"stops": ["accepted", "rejected", "recycled"], "closed_at": "2026-11-24T15:00:00Z"},
            "It was not accepted, rejected or recycled in time. It has left these stages since.",
        ),
        (
            {"state": "resolved", "resolved_at": "2026-11-23T15:40:00Z", "response_seconds": 6_000.0},
            "It was not contacted in time, but 40 min late, after 1 h 40 min of open hours.",
        ),
        (
            {"lagging": True},
            "It was not contacted in time, and hasn't been since. "
            "This was announced before all that had happened was read.",
        ),
        (
            {
                "state": "voided",
                "hours": "always",
                "stops": ["opportunity.opened"],
                "voided_at": "2026-11-23T17:00:00Z",
                "response_seconds": 1_500.0,
            },
            "It was made an opportunity in time, after 25 min. Accord heard of it 2 h after the deadline.",
        ),
    ],
)
def test_the_cause_is_said(more: dict[str, Any], words: str) -> None:
    assert cause({**CLOCK, **more}) == words


def test_every_deed_has_words() -> None:
    assert set(DONE) == set(Action)
