"""ACCORD.md "Versions", "Conditions", "Engagement" and "Fit and grade", evaluated slowly: everything is kept for ever,
and every question is answered by looking at all of it. Shares no code with what it is compared to."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from shared.events.activity import Activity, ProfileUpdated

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

Document = Mapping[str, Any]


def seconds(duration: str) -> timedelta:
    return timedelta(seconds=int(duration[:-1]) * SECONDS[duration[-1]])


class Version(NamedTuple):
    number: int
    effective_at: datetime
    document: Document


class Granted(NamedTuple):
    event_id: UUID
    rule: Mapping[str, Any]
    at: datetime
    received_at: datetime
    points: int


def holds(where: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> bool:
    """Plain values, and the tests that the histories of these tests make use of."""
    return where is None or all(_passes(test, facts.get(field)) for field, test in where.items())


def _passes(test: Any, value: Any) -> bool:
    if not isinstance(test, Mapping):
        return bool(_folded(value) == _folded(test))
    for name, wanted in test.items():
        if name == "exists" and (value is not None) != wanted:
            return False
        if name == "gte" and not (_is_number(value) and value >= wanted):
            return False
        if name == "ne" and value is not None and _folded(value) == _folded(wanted):
            return False
        if name == "in" and _folded(value) not in [_folded(one) for one in wanted]:
            return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


class Ledger:
    """One version over one list of activities, in their order."""

    def __init__(self, version: Version, activities: Sequence[Activity]) -> None:
        self.engagement = version.document["scoring"]["engagement"]
        self.granted: list[Granted] = []
        self.done: list[tuple[str, datetime, Mapping[str, Any]]] = []
        for activity in activities:
            self._take(activity)

    def _take(self, event: Activity) -> None:
        t = min(event.occurred_at, event.received_at)
        self.granted += [
            Granted(event.id, rule, t, event.received_at, self._points(rule, t))
            for rule in self.engagement["rules"]
            if rule["activity"] == event.type and holds(rule.get("where"), event.data)
        ]
        self.done.append((event.type, t, event.data))

    def _points(self, rule: Mapping[str, Any], t: datetime) -> int:
        own = [grant for grant in self.granted if grant.rule["id"] == rule["id"] and grant.points]
        if follows := rule.get("after"):
            within = seconds(follows["within"])
            if not any(
                type == follows["activity"] and holds(follows.get("where"), data) and timedelta(0) < t - t_x <= within
                for type, t_x, data in self.done
            ):
                return 0
        if rule.get("once") and own:
            return 0
        points: int = rule["points"]
        if limit := rule.get("at_most"):
            s = sum(abs(grant.points) for grant in own if abs(grant.at - t) < seconds(limit["per"]))
            size: int = min(abs(points), max(0, limit["points"] - s))
            return size if points > 0 else -size
        return points

    def worth(self, grant: Granted, at: datetime) -> float:
        if at < grant.at:
            return 0.0
        half_life = grant.rule.get("half_life", self.engagement["half_life"])
        return float(
            grant.points if half_life == "never" else grant.points * 2 ** (-((at - grant.at) / seconds(half_life)))
        )

    def score(self, at: datetime) -> float:
        """Of all grants, as far as they were made by then."""
        total = sum(self.worth(grant, at) for grant in self.granted)
        return float(min(self.engagement.get("cap", float("inf")), max(0.0, total)))


class Reference:
    """One lead. `versions` in their order of effect."""

    def __init__(self, versions: Sequence[Version]) -> None:
        self.versions = versions
        self.inputs: list[Activity | ProfileUpdated] = []
        self.carried: int | None = None
        self.as_of = NEVER

    def own(self, received_at: datetime) -> int:
        """The rank of the version that was in effect then; the first one also counts before it."""
        return max([rank for rank, version in enumerate(self.versions) if version.effective_at <= received_at] or [0])

    def take(self, event: Activity | ProfileUpdated) -> None:
        own = self.own(event.received_at)
        self.carried = own if self.carried is None else max(own, self.carried)
        self.inputs.append(event)
        self.as_of = max(self.as_of, event.received_at)

    def rescore(self, rank: int) -> None:
        self.carried = rank
        self.as_of = max(self.as_of, self.versions[rank].effective_at)

    def ledger(self, rank: int) -> Ledger:
        """Whatever was received while this version or an earlier one was in effect is granted under it."""
        activities = [one for one in self.inputs if isinstance(one, Activity) and self.own(one.received_at) <= rank]
        return Ledger(self.versions[rank], activities)

    @property
    def engagement(self) -> float:
        assert self.carried is not None
        return self.ledger(self.carried).score(self.as_of)

    @property
    def profile(self) -> dict[str, Any]:
        latest: dict[str, tuple[datetime, Any]] = {}
        for update in self.inputs:
            if isinstance(update, ProfileUpdated):
                at = min(update.occurred_at, update.received_at)
                for field, value in update.fields.items():
                    if field not in latest or latest[field][0] <= at:
                        latest[field] = (at, value)
        return {field: value for field, (_, value) in latest.items() if value is not None}

    @property
    def fit(self) -> tuple[int, str]:
        assert self.carried is not None
        fit = self.versions[self.carried].document["scoring"]["fit"]
        points = sum(rule["points"] for rule in fit["rules"] if holds(rule["where"], self.profile))
        return points, next((grade for grade in "ABC" if fit["grades"][grade] <= points), "D")
