"""What each matching rule grants to one activity: limits, preconditions, and the windows that remember what they need.

A state forgets what no event within the horizon can need; for a later event the caller brings the lead's older grants.
"""

from bisect import insort
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.scoring.model.rules import Limit, Precondition, Rule, Rules
from services.scoring.model.state import Done, Grant, Older, State, Total, Window, WithheldReason
from shared.events.activity import Activity

# One day. A longer horizon makes every state bigger; a shorter one sends more late events to the ledger.
HORIZON = 86_400_000_000


class Granted(NamedTuple):
    """What one activity earned, and the parts of the state that this moved."""

    grants: Sequence[Grant]
    totals: Mapping[str, Total]
    windows: Mapping[str, Window]
    preceding: Mapping[str, Window]


class Moment(NamedTuple):
    """When an activity happened, when the score stands after it, and what is known from before the horizon."""

    t: int
    as_of: int
    older: Older | None


def worth(points: float, at: int, half_life: int | None, when: int) -> float:
    """`shared.agreement.decay.worth`, in microseconds."""
    return points if half_life is None else points * 2.0 ** ((at - when) / half_life)


def grant(state: State | Granted, activity: Activity | Done, rules: Rules, moment: Moment) -> Granted:
    """The grants of every rule that matches. What was granted so far can stand for the state."""
    grants: list[Grant] = []
    totals, windows, preceding = state.totals, state.windows, state.preceding
    for rule in rules.on.get(activity.type, ()):
        if not rule.matches(activity.data):
            continue
        points, why = _points(state, rule, moment)
        grants.append({"rule": rule.id, "points": points, "withheld": rule.points - points, "why": why})
        if points:
            totals = {**totals, rule.id: _added(totals.get(rule.id), points, moment.t, rule.half_life)}
            if rule.limit:
                entry = [moment.t, abs(points)]
                windows = {**windows, rule.id: _remembered(windows.get(rule.id), entry, rule.limit.per, moment.as_of)}
    for rule in rules.following.get(activity.type, ()):
        if rule.after and rule.after.matches(activity.data):
            preceding = {**preceding, rule.id: _preceded(preceding.get(rule.id), rule.after.within, moment)}
    return Granted(grants, totals, windows, preceding)


def _points(state: State | Granted, rule: Rule, moment: Moment) -> tuple[int, WithheldReason | None]:
    """What the rule grants now, and why that is less than its points."""
    if rule.after and not _follows(state.preceding.get(rule.id), rule.after, moment):
        return 0, WithheldReason.AFTER
    if rule.once and rule.id in state.totals:
        return 0, WithheldReason.ONCE
    if rule.limit is None:
        return rule.points, None
    room = max(0, rule.limit.points - _spent(state.windows.get(rule.id), rule.id, rule.limit, moment))
    if room >= abs(rule.points):
        return rule.points, None
    return room if rule.points > 0 else -room, WithheldReason.AT_MOST


def _spent(window: Window | None, id: str, limit: Limit, moment: Moment) -> int:
    """The |points| that the rule granted within its period, before t or after it."""
    if window is None:
        return 0
    forgotten, kept = window
    first, last = moment.t - limit.per + 1, moment.t + limit.per - 1
    if forgotten is not None and forgotten >= first:
        return sum(abs(points) for rule, at, points in _brought(moment).grants if rule == id and first <= at <= last)
    return sum([points for at, points in kept if first <= at <= last])


def _follows(window: Window | None, after: Precondition, moment: Moment) -> bool:
    """Whether the lead did what the rule asks for, at most `within` before t and not at t."""
    if window is None:
        return False
    forgotten, kept = window
    first, t = moment.t - after.within, moment.t
    if forgotten is not None and forgotten >= first:
        activities = _brought(moment).activities
        return any(
            first <= done.t < t and after.matches(done.data) for done in activities if done.type == after.activity
        )
    return any(first <= at < t for at, _ in kept)


def _preceded(window: Window | None, within: int, moment: Moment) -> Window:
    """One more time that the rule can follow. Those between two that reach each other are left out: whatever follows
    such a time follows one of the two."""
    forgotten, entries = _remembered(window, [moment.t, 0], within, moment.as_of)
    kept: list[list[int]] = []
    for entry in entries:
        while len(kept) >= 2 and entry[0] <= kept[-2][0] + within:
            kept.pop()
        kept.append(entry)
    return [forgotten, kept]


def _remembered(window: Window | None, entry: list[int], per: int, as_of: int) -> Window:
    """The window with one more entry, and without those that no event within the horizon can reach."""
    if window is None:
        return [None, [entry]]
    forgotten, kept = window
    entries = list(kept)
    insort(entries, entry)
    cutoff = as_of - HORIZON - per
    first = 0
    while entries[first][0] < cutoff and first < len(entries) - 1:
        first += 1
    if first:
        dropped = entries[first - 1][0]
        forgotten = dropped if forgotten is None else max(dropped, forgotten)
    return [forgotten, entries[first:]]


def _brought(moment: Moment) -> Older:
    if moment.older is None:
        raise LookupError("an event this late needs the lead's older grants: may_need_older is asked first")
    return moment.older


def _added(total: Total | None, points: int, at: int, half_life: int | None) -> Total:
    """The rule's total with one more grant, as of the later of the two."""
    if total is None:
        return [float(points), at, 1]
    before, stood_at, count = total
    when = max(stood_at, at)
    return [worth(before, stood_at, half_life, when) + worth(float(points), at, half_life, when), when, count + 1]
