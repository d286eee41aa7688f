"""What the api works out itself from what the services publish: a score with its grants, a profile and a clock as they
were at a time, and whether a sales action can be taken. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from shared.agreement.compiled import CompiledAccord
from shared.agreement.decay import RuleTotal, bounded, worth
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import Stage
from shared.events.sales import Action

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
# The queue of leads that are sales' to work on and nobody's.
UNASSIGNED = "unassigned"
WORKED_ON = tuple(stage.value for stage in (Stage.MQL, Stage.SAL, Stage.SQL, Stage.OPPORTUNITY))
_DAY_SECONDS = 86_400
RUNNING_STATES = ("open", "warned", "paused")
# The last thing that happened to a clock, latest first. `announced_at`, because until then nobody knew.
_CLOCK_TIMES = {"voided_at": "voided", "resolved_at": "resolved", "announced_at": "breached", "met_at": "met"}


class GrantRow(NamedTuple):
    """One grant as scoring keeps it in its ledger."""

    event_id: UUID
    type: str
    rule: str
    points: int
    withheld: int
    why: str | None
    occurred_at: datetime
    received_at: datetime


class Moment(NamedTuple):
    """A time, and whether what arrived after it counts (`known=now`)."""

    at: datetime
    knows_later: bool = False

    def sees(self, occurred_at: datetime, received_at: datetime) -> bool:
        return occurred_at <= self.at and (self.knows_later or received_at <= self.at)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Σ worths + Σ adjustments = engagement."""

    engagement: float
    grants: tuple[tuple[GrantRow, float], ...]
    adjustments: tuple[tuple[Literal["cap", "floor"], float], ...]


def explain(grants: Iterable[GrantRow], accord: CompiledAccord, moment: Moment) -> Explanation:
    """What every grant is worth at that time, and what cap or floor took or gave."""
    lines = tuple(
        (grant, worth(grant.points, grant.occurred_at, accord.rule(grant.rule).half_life, moment.at))
        for grant in grants
        if moment.sees(grant.occurred_at, grant.received_at)
    )
    total = math.fsum(value for _, value in lines)
    if total < 0:
        return Explanation(0.0, lines, (("floor", -total),))
    if accord.cap is not None and total > accord.cap:
        return Explanation(float(accord.cap), lines, (("cap", accord.cap - total),))
    return Explanation(total, lines, ())


def engagement_by_day(worths: Iterable[tuple[float | None, int, float]], days: int, cap: float | None) -> list[float]:
    """The engagement `days` days ago, then a day later each, at last now.

    `worths` are (half-life in seconds, None for never; k; what the grants of that day were worth k days ago), where the
    grants of day k were made in the 24 hours before that, of the first day at any time before.
    """
    by_half_life: dict[float | None, list[float]] = {}
    for half_life, days_ago, worth_then in worths:
        by_half_life.setdefault(half_life, [0.0] * (days + 1))[days - days_ago] += worth_then
    totals = [0.0] * (days + 1)
    for half_life, of_days in by_half_life.items():
        kept = 1.0 if half_life is None else 2.0 ** (-_DAY_SECONDS / half_life)
        total = 0.0
        for day, came in enumerate(of_days):
            total = total * kept + came
            totals[day] += total
    return [bounded(total, cap) for total in totals]


def rule_totals(stored: Mapping[str, Sequence[Any]]) -> dict[str, RuleTotal]:
    """The decayed totals per rule as scoring publishes them: {rule: [worth, at, count]}."""
    return {
        rule: RuleTotal(float(total[0]), datetime.fromisoformat(total[1]), int(total[2]))
        for rule, total in stored.items()
    }


def live_totals(stored: Mapping[str, Sequence[Any]], accord: CompiledAccord) -> dict[str, RuleTotal]:
    """Those of the rules that this version has."""
    return {rule: total for rule, total in rule_totals(stored).items() if _has_rule(accord, rule)}


def _has_rule(accord: CompiledAccord, rule: str) -> bool:
    try:
        accord.rule(rule)
    except KeyError:
        return False
    return True


def totals_at(explanation: Explanation, at: datetime) -> dict[str, RuleTotal]:
    """What the grants of each rule are worth together, from which the curve after that time follows."""
    by_rule: dict[str, list[float]] = {}
    for grant, value in explanation.grants:
        by_rule.setdefault(grant.rule, []).append(value)
    return {rule: RuleTotal(math.fsum(values), at, len(values)) for rule, values in by_rule.items()}


def profile_at(updates: Iterable[tuple[datetime, datetime, Mapping[str, Any]]], moment: Moment) -> dict[str, Any]:
    """The latest value per field by `occurred_at` (the later one of the history at a tie); null removes a field.

    `updates` are (occurred_at, received_at, fields) in the order of the history.
    """
    latest: dict[str, tuple[datetime, Any]] = {}
    for occurred_at, received_at, fields in updates:
        if moment.sees(occurred_at, received_at):
            for name, value in fields.items():
                if name not in latest or latest[name][0] <= occurred_at:
                    latest[name] = (occurred_at, value)
    return {name: value for name, (_, value) in latest.items() if value is not None}


def snapshot_at(inputs: Iterable[Mapping[str, Any]], at: datetime) -> LeadSnapshot:
    """What scoring knew of a lead then. `inputs` is its history in order, without rescores: `kind`, `occurred_at`,
    `received_at`, `email`, `fields`, `source`, `campaign`."""
    known = [one for one in inputs if one["received_at"] <= at]
    updates = (
        (min(one["occurred_at"], one["received_at"]), one["received_at"], one["fields"])
        for one in known
        if one["kind"] == "profile"
    )
    activities = [one for one in known if one["kind"] == "activity"]
    return LeadSnapshot(
        email=_last(known, "email"),
        profile=profile_at(updates, Moment(at)),
        source=activities[-1]["source"] if activities else None,
        campaign=_last(activities, "campaign"),
        first_source=activities[0]["source"] if activities else None,
    )


def _last(rows: Sequence[Mapping[str, Any]], name: str) -> str | None:
    return next((row[name] for row in reversed(rows) if row[name] is not None), None)


def clock_at(clock: Mapping[str, Any], at: datetime) -> dict[str, Any] | None:
    """A clock as it stood at a time; None if it had not started. A warning leaves no column and reads as open; the
    deadline and the pauses are those known now."""
    if clock["started_at"] > at:
        return None
    past = {name: clock[name] if clock[name] is not None and clock[name] <= at else None for name in _CLOCK_TIMES}
    past["breached_at"] = clock["breached_at"] if past["announced_at"] is not None else None
    state = next((state for name, state in _CLOCK_TIMES.items() if past[name] is not None), None)
    if state is None:
        state = _quiet_state(clock, at)
    return {**clock, **past, "state": state}


def _quiet_state(clock: Mapping[str, Any], at: datetime) -> str:
    """While nothing had come of it."""
    if clock["state"] == "late_start":
        return "late_start"
    if clock["state"] == "cancelled" and clock["closed_at"] is not None and clock["closed_at"] <= at:
        return "cancelled"
    pauses = (map(datetime.fromisoformat, pause) for pause in clock["pauses"])
    return "paused" if any(from_ <= at < to for from_, to in pauses) else "open"


@dataclass(frozen=True, slots=True)
class ActionFault:
    """Why an action can't be taken: the field, and a sentence that says what is allowed."""

    path: str
    message: str


def action_faults(
    action: Action,
    accord: CompiledAccord,
    *,
    reason: str | None,
    until: datetime | None,
    occurred_at: datetime,
    note: str | None,
) -> tuple[ActionFault, ...]:
    """Everything wrong with an action that can be said without knowing the lead's stage."""
    faults = []
    if action is Action.REJECTED and accord.rejection(reason) is None:
        allowed = ", ".join(accord.rejection_reasons) or "none: the accord lists no rejection reasons"
        found = "is required" if reason is None else "is not one of the accord's"
        faults.append(ActionFault("reason", f"{found}; allowed: {allowed}"))
    if action is Action.SNOOZED and until is None:
        faults.append(ActionFault("until", "is required for snoozed"))
    if until is not None and until <= occurred_at:
        faults.append(ActionFault("until", "must be later than occurred_at"))
    if action is Action.NOTE and not note:
        faults.append(ActionFault("note", "is required for note"))
    if occurred_at < EARLIEST:
        faults.append(ActionFault("occurred_at", "must not be before 2000-01-01"))
    return tuple(faults)


def stage_of(stored: str | None) -> str:
    """A lead that stages hasn't seen yet stands at the beginning."""
    return stored or Stage.LEAD.value


class Sample(NamedTuple):
    """At a time in seconds, by service: how many events it had read and emitted."""

    at_seconds: float
    counted: Mapping[str, tuple[int, int]]


class Pace(NamedTuple):
    """Events a second; None where it isn't known yet."""

    read: float | None
    emitted: float | None


def pace_of(samples: Sequence[Sample], service: str) -> Pace:
    """From the first sample that knows the service to the last one."""
    known = [(sample.at_seconds, *sample.counted[service]) for sample in samples if service in sample.counted]
    if len(known) < 2 or known[-1][0] <= known[0][0]:
        return Pace(None, None)
    (since, *before), (until, *after) = known[0], known[-1]
    return Pace(*(max(0.0, (now - then) / (until - since)) for then, now in zip(before, after, strict=True)))
