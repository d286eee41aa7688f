"""What each report says of some leads, counted the plain way."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from report_world import Entry, Lead

from services.api.store.periods import Period
from services.api.store.rolled import NEXT


def between(values: Sequence[float], share: float) -> float | None:
    """The value that so great a share lies below, interpolated."""
    ordered = sorted(values)
    if not ordered:
        return None
    at = share * (len(ordered) - 1)
    low = int(at)
    return ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def times(values: Sequence[float | None]) -> tuple[Any, ...]:
    """How many there are, how many of them took a time, and the times that half and nine tenths lie below."""
    took = [value for value in values if value is not None]
    return len(values), len(took), *(_near(between(took, share)) for share in (0.5, 0.9))


def _near(value: float | None) -> Any:
    return None if value is None else pytest.approx(value)


def week(at: datetime, zone: str) -> str:
    year, number, _ = at.astimezone(ZoneInfo(zone)).isocalendar()
    return f"{year}-W{number:02}"


def cohort_of(lead: Lead, entry: Entry, by: str | None, period: Period) -> str | None:
    match by:
        case "source":
            return lead.source
        case "campaign":
            return lead.campaign
        case "owner":
            return entry.owner
        case "week":
            return week(entry.at, period.zone)
    return None


def expected_funnel(leads: Sequence[Lead], period: Period, by: str | None) -> dict[Any, Any]:
    found: dict[Any, list[float | None]] = defaultdict(list)
    for lead in leads:
        for stage, following in NEXT.items():
            first = [one for one in lead.life if one.stage == stage and period.since <= one.at < period.until][:1]
            for entry in first:
                later = [one.at for one in lead.life if one.version > entry.version and one.stage == following]
                seconds = (min(later) - entry.at).total_seconds() if later else None
                found[stage, None, True].append(seconds)
                if by is not None:
                    found[stage, cohort_of(lead, entry, by, period), False].append(seconds)
    return {key: times(values) for key, values in found.items()}


def expected_attribution(leads: Sequence[Lead], period: Period, by: str, model: str) -> dict[Any, float]:
    found: dict[Any, float] = defaultdict(float)
    for lead in leads:
        touches = sorted(enumerate(lead.touches), key=lambda one: (one[1].at, one[0]))
        for entry in lead.entries:
            if entry.stage not in ("mql", "opportunity", "customer") or entry.is_implied:
                continue
            if not period.since <= entry.at < period.until:
                continue
            keys = [getattr(one, by) for _, one in touches if one.at <= entry.at and getattr(one, by) is not None]
            chosen = {"first": keys[:1], "last": keys[-1:], "linear": keys}[model] or [None]
            for key in chosen:
                found[key, entry.stage] += 1 / len(chosen)
                found[key, entry.stage, "amount"] += (entry.amount or 0) / len(chosen)
    return {key: value for key, value in found.items() if value}


def expected_contact(leads: Sequence[Lead], period: Period, owner: str | None) -> tuple[Any, ...]:
    took: list[float | None] = []
    for lead in leads:
        entered = [
            entry
            for entry in lead.entries
            if entry.stage == "mql" and not entry.is_implied and period.since <= entry.at < period.until
            if owner is None or entry.owner == owner
        ]
        if entered:
            after = [at for at in lead.contacts if at >= entered[0].at]
            took.append((min(after) - entered[0].at).total_seconds() if after else None)
    return times(took)


def expected_attainment(leads: Sequence[Lead], period: Period, by: str, owner: str | None) -> dict[Any, Any]:
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for clock in (clock for lead in leads for clock in lead.clocks.values()):
        if clock["state"] == "late_start" or not period.since <= clock["started_at"] < period.until:
            continue
        if owner is None or clock["owner"] == owner:
            found[_side(clock, by, period.zone)].append(clock)
    return {
        key: (
            len(clocks),
            *(sum(clock["state"] in states for clock in clocks) for states in (("met",), ("breached", "resolved"))),
            times([clock["spent"] for clock in clocks])[2:],
        )
        for key, clocks in found.items()
    }


def _side(clock: dict[str, Any], by: str, zone: str) -> Any:
    if by == "week":
        local = clock["started_at"].astimezone(ZoneInfo(zone)).date()
        return (local - timedelta(days=local.weekday())).isoformat()
    return clock["rule" if by == "clock" else by]
