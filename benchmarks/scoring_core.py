"""The pure core of scoring on one core: activities a second over prepared histories, and what an earlier life costs."""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from services.scoring.model import State, decide_on, done_of, regrant
from shared.agreement.versions import Accords
from shared.events.activity import Activity

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
LEADS = UUID("6f0c4a3e-3c1b-5b5e-9d1c-acc0ad0000b0")
EARLIER = (10, 1_000, 100_000)
TIMED = 2_000
_TYPES: Sequence[tuple[str, dict[str, Any], int]] = (
    ("page.viewed", {"path": "/docs/start"}, 45),
    ("page.viewed", {"path": "/pricing"}, 17),
    ("email.clicked", {}, 12),
    ("whitepaper.downloaded", {"title": "Scoring"}, 11),
    ("survey.completed", {}, 5),
    ("webinar.attended", {"minutes": 40}, 4),
    ("cta.completed", {}, 4),
    ("demo.requested", {}, 2),
)


def lead_id(number: int) -> UUID:
    """The leads of all parts."""
    return uuid5(LEADS, str(number))


def history(number: int, activities: int, seed: int = 0) -> list[Activity]:
    """What one lead did, some hours apart, received as it was done."""
    dice, lead, at, found = random.Random(f"{seed}/{number}"), lead_id(number), START, list[Activity]()
    for n in range(activities):
        at += timedelta(seconds=dice.randrange(60, 40_000))
        type_, data, _ = dice.choices(_TYPES, [weight for *_, weight in _TYPES])[0]
        id, who = uuid5(lead, f"{seed}/{n}"), {"email": f"{number}@company{number % 997}.example"}
        found.append(
            Activity(
                lead_id=lead,
                id=id,
                type=type_,
                occurred_at=at,
                received_at=at,
                source="website",
                team="marketing",
                campaign="autumn",
                identifiers=who,
                data=data,
            )
        )
    return found


def core(accords: Accords, leads: int, activities: int) -> dict[str, float]:
    """CPU time of deciding every activity as the line does (state, score, reasons, grants), and of granting anew."""
    histories = [history(number, activities) for number in range(leads)]
    began = time.process_time()
    for items in histories:
        _fold(State(), items, accords)
    decided = time.process_time() - began
    done = [[done_of(item.id, item, item.received_at) for item in items] for items in histories]
    began = time.process_time()
    for one in done:
        regrant(one, accords.newest)
    granted = time.process_time() - began
    total = leads * activities
    return {"decided_per_second": total / decided, "regranted_per_second": total / granted}


def cost_by_past(accords: Accords) -> dict[int, float]:
    """Microseconds of an activity on a lead that did so many before."""
    found = {}
    for earlier in EARLIER:
        items = history(0, earlier + TIMED)
        state = _fold(State(), items[:earlier], accords)
        began = time.process_time()
        _fold(state, items[earlier:], accords)
        found[earlier] = (time.process_time() - began) / TIMED * 1e6
    return found


def _fold(state: State, items: Sequence[Activity], accords: Accords) -> State:
    for item in items:
        state = decide_on(state, item.id, item, item.received_at, accords=accords, past=None).state
    return state
