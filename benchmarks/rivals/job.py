"""The scoring job that all rivals share: plain Python, given the state of one lead and one activity.

The engagement rules of the packaged accord that the benchmark's traffic can meet: points, `at_most`, half-lives and the
cap. Left out, in the rivals' favour: fit and grade, reasons in words, `after`, the history of inputs, the ledger, and
whatever keeps an event that is delivered twice from counting twice.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

DAY = 86_400.0
HALF_LIFE = 30 * DAY
CAP = 200.0

Data = Mapping[str, Any]


class Rule(NamedTuple):
    """`at_most` is (points, seconds)."""

    id: str
    activity: str
    points: int
    at_most: tuple[int, float] | None = None
    half_life: float = HALF_LIFE
    where: Callable[[Data], bool] = lambda data: True


RULES = (
    Rule("page-view", "page.viewed", 1, at_most=(5, DAY)),
    Rule(
        "pricing-page",
        "page.viewed",
        5,
        at_most=(10, 7 * DAY),
        where=lambda data: str(data.get("path", "")).startswith("/pricing"),
    ),
    Rule("email-click", "email.clicked", 2, at_most=(6, 7 * DAY)),
    Rule("whitepaper", "whitepaper.downloaded", 5, at_most=(15, 30 * DAY)),
    Rule("survey", "survey.completed", 15, at_most=(30, 90 * DAY)),
    Rule("webinar", "webinar.attended", 12, where=lambda data: data.get("minutes", 0) >= 20),
    Rule("cta", "cta.completed", 8),
    Rule("demo", "demo.requested", 60, half_life=14 * DAY),
)

_BY_ACTIVITY: dict[str, list[Rule]] = {}
_BY_ID = {rule.id: rule for rule in RULES}
for _rule in RULES:
    _BY_ACTIVITY.setdefault(_rule.activity, []).append(_rule)


def score(
    state: dict[str, Any] | None, lead_id: str, activity: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The lead's next state and the event that tells its score. Both are made of what JSON is made of."""
    state = state or {"version": 0, "as_of": 0.0, "totals": {}, "windows": {}}
    at, received_at = _seconds(activity["occurred_at"]), _seconds(activity["received_at"])
    as_of = max(state["as_of"], received_at)
    totals, windows = dict(state["totals"]), dict(state["windows"])
    grants = []
    for rule in _BY_ACTIVITY.get(activity["type"], ()):
        if not rule.where(activity["data"]):
            continue
        points = _allowed(rule, windows, at)
        if points:
            before, stood_at = totals.get(rule.id, (0.0, at))
            when = max(stood_at, at)
            totals[rule.id] = (_worth(before, stood_at, rule, when) + _worth(points, at, rule, when), when)
        grants.append({"rule": rule.id, "points": points, "withheld": rule.points - points})
    worths = [_worth(points, stood_at, _BY_ID[id], as_of) for id, (points, stood_at) in totals.items()]
    engagement = max(0.0, min(CAP, sum(worths)))
    after = {"version": state["version"] + 1, "as_of": as_of, "totals": totals, "windows": windows}
    event = {
        "lead_id": lead_id,
        "version": after["version"],
        "engagement": engagement,
        "as_of": as_of,
        "grants": grants,
        "activity": activity["type"],
        "lead": {
            "email": activity["identifiers"].get("email"),
            "source": activity["source"],
            "campaign": activity["campaign"],
        },
    }
    return after, event


def _allowed(rule: Rule, windows: dict[str, Any], at: float) -> int:
    if rule.at_most is None:
        return rule.points
    most, per = rule.at_most
    window: list[tuple[float, int]] = [entry for entry in windows.get(rule.id, ()) if entry[0] > at - per]
    points = min(rule.points, max(0, most - sum(granted for _, granted in window)))
    if points:
        window.append((at, points))
    windows[rule.id] = window
    return points


def _worth(points: float, at: float, rule: Rule, when: float) -> float:
    return float(points * 2.0 ** ((at - when) / rule.half_life))


def _seconds(at: datetime | str) -> float:
    return (at if isinstance(at, datetime) else datetime.fromisoformat(at)).timestamp()
