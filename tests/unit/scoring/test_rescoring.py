"""What a version grants anew, in one piece or in several, and what a rescore says of it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from line_builders import ADA, accords_of, activity, after, example_accord, profile

from services.scoring.model import (
    Input,
    Older,
    Past,
    Rescored,
    done_of,
    fold,
    instant,
    needs_older,
    regrant,
    rescore,
)
from services.scoring.model.state import Done
from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import load_accord
from shared.events.activity import Activity

ACCORD = example_accord()
MICROSECOND = timedelta(microseconds=1)


def done(*items: Activity) -> list[Done]:
    return [done_of(item.id, item, item.received_at) for item in items]


# The late ones are within the reach of what a state forgot, to the microsecond.
HISTORY = done(
    *(activity("survey.completed", after(), n=n) for n in range(2)),
    activity("whitepaper.downloaded", after()),
    activity("whitepaper.downloaded", after(days=40)),
    activity("cta.completed", after(days=14), received_at=after(days=40)),
    activity("survey.completed", after(days=150)),
    activity("survey.completed", after(days=90) - MICROSECOND, received_at=after(days=150)),
)


@pytest.mark.parametrize("size", range(1, len(HISTORY)))
def test_a_history_in_pieces_is_granted_as_in_one(size: int) -> None:
    whole, line, past = regrant(HISTORY, ACCORD), regrant((), ACCORD).line, Past()
    earned = []
    for start in range(0, len(HISTORY), size):
        piece = HISTORY[start : start + size]
        older: Older | None = past.under(1) if needs_older(piece, ACCORD, line.as_of) else None
        line, news = regrant(piece, ACCORD, line, older)
        earned += news
        past = Past(HISTORY[: start + size])
        past.add(earned)
    assert (line, earned) == whole


def test_a_piece_asks_for_what_is_older_only_if_one_of_it_comes_so_late_that_a_rule_may_need_it() -> None:
    def asks(*items: Activity) -> bool:
        return needs_older(done(*items), ACCORD, instant(after()))

    at_the_horizon, beyond = after(days=-1), after(days=-1) - MICROSECOND
    assert asks(activity("survey.completed", beyond, received_at=after())), "a limit"
    assert asks(activity("cta.completed", beyond, received_at=after())), "a precondition"
    assert asks(activity("demo.requested", after()), activity("survey.completed", beyond, received_at=after()))
    assert asks(activity("demo.requested", after(days=3)), activity("survey.completed", after(days=1)))
    assert not asks(activity("survey.completed", at_the_horizon, received_at=after()))
    assert not asks(activity("demo.requested", beyond, received_at=after())), "its rule remembers nothing"


def version(number: int, *, points: int = 60, title: str = "CEO", mql: int = 40) -> CompiledAccord:
    document: dict[str, Any] = {
        "accord": 1,
        "name": "Plain",
        "calendar": {"timezone": "UTC", "hours": {"mon": ["09:00-17:00"]}},
        "scoring": {
            "engagement": {"rules": [{"id": "r", "activity": "demo.requested", "points": points}]},
            "fit": {"rules": [{"id": "f", "where": {"title": title}, "points": 5}]},
        },
        "stages": {"mql": {"engagement": {"gte": mql}}},
    }
    return compile_accord(load_accord(json.dumps(document)), number)


def rescored(before: CompiledAccord, accord: CompiledAccord) -> Rescored:
    """A CEO who asked for a demo, a day later: what decayed meanwhile is no change."""
    demo = activity("demo.requested", after(), lead_id=ADA)
    items: list[Input] = [profile(after(), title="CEO"), demo]
    state = list(fold([(item.id, item, item.received_at) for item in items], accords_of(before)))[-1].state
    return rescore(state, regrant(done(demo), accord), accord, before=before, effective_at=after(days=1))


@pytest.mark.parametrize(
    ("accord", "is_changed"),
    [
        (version(2), False),
        (version(2, mql=70), False),
        (version(2, points=61), True),
        (version(2, title="Intern"), True),
        (version(2, points=61, title="Intern"), True),
    ],
)
def test_a_rescore_has_changed_a_score_if_the_engagement_or_the_fit_is_another(
    accord: CompiledAccord, is_changed: bool
) -> None:
    outcome = rescored(version(1), accord)
    assert outcome.is_changed is is_changed
    assert outcome.decision.score["changed"] is is_changed


@pytest.mark.parametrize(
    ("before", "accord", "expected"),
    [
        (version(1, mql=70), version(2), True),
        (version(1, points=10), version(2), True),
        (version(1), version(2, mql=50), False),
        (version(1), version(2, mql=70), False),
        (version(1, mql=70), version(2, mql=80), False),
    ],
)
def test_a_lead_qualifies_newly_that_did_not_under_the_version_before(
    before: CompiledAccord, accord: CompiledAccord, expected: bool
) -> None:
    assert rescored(before, accord).qualifies_newly is expected
