"""What each matching rule grants to one activity: limits, preconditions, and the windows that remember what they need.

A state forgets what no event within HORIZON can need; for a later event the caller brings the lead's older grants.
"""

from bisect import insort
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.scoring.model.state import (
    MICROSECOND,
    Grant,
    Input,
    Older,
    State,
    Window,
    WithheldReason,
    instant,
)
from shared.agreement.compiled import CompiledAccord
from shared.agreement.decay import RuleTotal, worth
from shared.agreement.rules import CompiledRule
from shared.events.activity import Activity

# A longer horizon makes every state bigger; a shorter one sends more late events to the ledger.
HORIZON = timedelta(days=1)
_HORIZON = HORIZON // MICROSECOND


class Granted(NamedTuple):
    """What one activity earned, and the parts of the state that this moved."""

    grants: Sequence[Grant]
    totals: Mapping[str, RuleTotal]
    windows: Mapping[str, Window]
    preceding: Mapping[str, Window]


def may_need_older(item: Input, *, received_at: datetime, as_of: datetime, accord: CompiledAccord) -> bool:
    """Whether an event comes so late that a limit or a precondition may need what the state has forgotten."""
    if not isinstance(item, Activity) or min(item.occurred_at, received_at) >= as_of - HORIZON:
        return False
    return any(rule.at_most or rule.after for rule in accord.rules_for(item.type))


def grant(
    state: State, activity: Activity, occurred_at: datetime, *, accord: CompiledAccord, older: Older | None
) -> Granted:
    """The grants of every rule that matches. `state.as_of` is already that of this event."""
    grants: list[Grant] = []
    t = instant(occurred_at)
    totals, windows = state.totals, state.windows
    for rule in accord.rules_for(activity.type):
        if not rule.matches(activity.data):
            continue
        points, why = _points(state, rule, t, older)
        grants.append({"rule": rule.id, "points": points, "withheld": rule.points - points, "why": why})
        if points:
            totals = {**totals, rule.id: _added(totals.get(rule.id), points, occurred_at, rule.half_life)}
            if rule.at_most:
                window = _remembered(windows.get(rule.id), (t, abs(points)), rule.at_most.per, state.as_of)
                windows = {**windows, rule.id: window}
    return Granted(grants, totals, windows, _preceding(state, activity, t, accord))


def _points(state: State, rule: CompiledRule, t: int, older: Older | None) -> tuple[int, WithheldReason | None]:
    """What the rule grants now, and why that is less than its points."""
    if rule.after and not _follows(state, rule, t, older):
        return 0, WithheldReason.AFTER
    if rule.once and rule.id in state.totals:
        return 0, WithheldReason.ONCE
    if rule.at_most is None:
        return rule.points, None
    room = max(0, rule.at_most.points - _spent(state, rule, t, older))
    if room >= abs(rule.points):
        return rule.points, None
    return room if rule.points > 0 else -room, WithheldReason.AT_MOST


def _spent(state: State, rule: CompiledRule, t: int, older: Older | None) -> int:
    """The |points| that this rule granted within its period, before t or after it."""
    window = state.windows.get(rule.id)
    if window is None or rule.at_most is None:
        return 0
    per = rule.at_most.per // MICROSECOND
    if _is_forgotten(window, t - per + 1):
        grants = _brought(older).grants
        return sum(abs(points) for id, at, points in grants if id == rule.id and -per < at - t < per)
    return sum([points for at, points in window.kept if -per < at - t < per])


def _follows(state: State, rule: CompiledRule, t: int, older: Older | None) -> bool:
    """Whether the lead did what this rule asks for, at most `within` before t and not at t."""
    window, after = state.preceding.get(rule.id), rule.after
    if window is None or after is None:
        return False
    since = t - after.within // MICROSECOND
    if _is_forgotten(window, since):
        activities = (did for did in _brought(older).activities if did[0] == after.activity and since <= did[1] < t)
        return any(after.matches(data) for _, _, data in activities)
    return any(since <= at < t for at, _ in window.kept)


def _preceding(state: State, activity: Activity, t: int, accord: CompiledAccord) -> Mapping[str, Window]:
    """What rules that follow this activity must remember of it."""
    preceding = state.preceding
    for rule in accord.preconditions_for(activity.type):
        after = rule.after
        if after is not None and after.matches(activity.data):
            window = _remembered(preceding.get(rule.id), (t, 0), after.within, state.as_of)
            preceding = {**preceding, rule.id: _thinned(window, after.within // MICROSECOND)}
    return preceding


def _remembered(window: Window | None, entry: tuple[int, int], per: timedelta, as_of: datetime) -> Window:
    """The window with one more entry, and without those that no event within the horizon can reach."""
    forgotten, kept = window or (None, ())
    entries = list(kept)
    insort(entries, entry)
    cutoff = instant(as_of) - _HORIZON - per // MICROSECOND
    first = 0
    while first < len(entries) and entries[first][0] < cutoff:
        first += 1
    if first:
        dropped = entries[first - 1][0]
        forgotten = dropped if forgotten is None else max(dropped, forgotten)
    return Window(forgotten, tuple(entries[first:]))


def _thinned(window: Window, within: int) -> Window:
    """Without the times between two that reach each other: what follows such a time follows one of the two."""
    kept: list[tuple[int, int]] = []
    for entry in window.kept:
        while len(kept) >= 2 and entry[0] <= kept[-2][0] + within:
            kept.pop()
        kept.append(entry)
    return Window(window.forgotten, tuple(kept))


def _brought(older: Older | None) -> Older:
    if older is None:
        raise LookupError("an event this late needs the lead's older grants: may_need_older is asked first")
    return older


def _is_forgotten(window: Window | None, since: int) -> bool:
    return window is not None and window.forgotten is not None and window.forgotten >= since


def _added(total: RuleTotal | None, points: int, at: datetime, half_life: timedelta | None) -> RuleTotal:
    """The rule's total with one more grant, as of the later of the two."""
    if total is None:
        return RuleTotal(float(points), at, 1)
    when = max(total.at, at)
    value = worth(total.worth, total.at, half_life, when) + worth(points, at, half_life, when)
    return RuleTotal(value, when, total.count + 1)
