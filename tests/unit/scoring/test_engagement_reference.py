"""The fold against a slow evaluator written straight from ACCORD.md "Engagement", on random rules and histories."""

import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line_builders import activity, after

from services.scoring.model import Older, State, apply, may_need_older
from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import load_accord
from shared.events.activity import Activity

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PERIODS = ["90s", "1h", "5h", "1d", "3d"]


def seconds(duration: str) -> timedelta:
    return timedelta(seconds=int(duration[:-1]) * SECONDS[duration[-1]])


class Granted(NamedTuple):
    rule: dict[str, Any]
    at: datetime
    points: int


class Reference:
    """Everything is kept for ever, and every question is answered by looking at all of it."""

    def __init__(self, engagement: dict[str, Any]) -> None:
        self.engagement = engagement
        self.granted: list[Granted] = []
        self.done: list[tuple[str, datetime, dict[str, Any]]] = []
        self.as_of = datetime.min.replace(tzinfo=after().tzinfo)

    def take(self, event: Activity) -> list[tuple[str, int]]:
        t = min(event.occurred_at, event.received_at)
        grants = [
            Granted(rule, t, self.points(rule, t))
            for rule in self.engagement["rules"]
            if rule["activity"] == event.type and self.holds(rule.get("where"), event.data)
        ]
        self.granted += grants
        self.done.append((event.type, t, event.data))
        self.as_of = max(self.as_of, event.received_at)
        return [(grant.rule["id"], grant.points) for grant in grants]

    @staticmethod
    def holds(where: dict[str, Any] | None, data: dict[str, Any]) -> bool:
        return where is None or all(data.get(field) == value for field, value in where.items())

    def points(self, rule: dict[str, Any], t: datetime) -> int:
        own = [grant for grant in self.granted if grant.rule["id"] == rule["id"] and grant.points]
        if follows := rule.get("after"):
            within = seconds(follows["within"])
            if not any(
                type == follows["activity"]
                and self.holds(follows.get("where"), data)
                and timedelta(0) < t - t_x <= within
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

    def score(self) -> float:
        total = 0.0
        for rule, at, points in self.granted:
            half_life = rule.get("half_life", self.engagement["half_life"])
            decays = half_life != "never"
            total += points * 2 ** (-((self.as_of - at) / seconds(half_life))) if decays else points
        return float(min(self.engagement["cap"], max(0.0, total)))


where = st.none() | st.sampled_from([{"k": 1}, {"k": 2}])
types = st.sampled_from(["did.this", "did.that"])


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {"activity": draw(types), "points": draw(st.integers(-9, 9))}
    optional = {
        "where": where,
        "half_life": st.none() | st.sampled_from(["20m", "6h", "2d", "never"]),
        "at_most": st.none() | st.fixed_dictionaries({"points": st.integers(1, 8), "per": st.sampled_from(PERIODS)}),
        "once": st.none() | st.just(True),
        "after": st.none()
        | st.fixed_dictionaries(
            {"activity": types, "within": st.sampled_from(PERIODS)}, optional={"where": st.just({"k": 1})}
        ),
    }
    for name, strategy in optional.items():
        value = draw(strategy)
        if value is not None:
            rule[name] = value
    return rule


@st.composite
def events(draw: st.DrawFn) -> list[Activity]:
    """Received in order but for a few; occurred up to five days before, or after."""
    received, found = 0, []
    for n in range(draw(st.integers(1, 25))):
        received += draw(st.sampled_from([0, 60, 3600, 3600, 43_200, 86400, 200_000, -7200]))
        lateness = draw(st.sampled_from([0, 0, 0, 1, 90, 3600, 18000, 86400, 90_000, 430_000, -600]))
        at = after(seconds=received - lateness)
        data = {"k": draw(st.integers(1, 2))}
        found.append(activity(draw(types), at, received_at=after(seconds=received), data=data, n=n))
    return found


def accord_with(engagement: dict[str, Any]) -> CompiledAccord:
    document = {
        "accord": 1,
        "name": "Random",
        "calendar": {"timezone": "UTC", "hours": {"mon": ["09:00-17:00"]}},
        "scoring": {"engagement": engagement, "fit": {"rules": [], "grades": {"A": 50, "B": 30, "C": 10}}},
        "stages": {"mql": {"engagement": {"gte": 40}}},
    }
    return compile_accord(load_accord(json.dumps(document)), 1)


@settings(max_examples=400, deadline=None)
@given(st.lists(rules(), min_size=1, max_size=4), events())
def test_every_grant_and_every_score_is_the_one_that_the_agreement_defines(
    drawn: list[dict[str, Any]], history: list[Activity]
) -> None:
    engagement = {"half_life": "1d", "cap": 60, "rules": [{"id": f"r{n}", **rule} for n, rule in enumerate(drawn)]}
    accord, reference, state, older = accord_with(engagement), Reference(engagement), State(), Older([], [])
    for event in history:
        received_at = event.received_at
        # Only an event that says it is late gets what the state forgot: the state alone must do for all others.
        is_late = may_need_older(event, received_at=received_at, as_of=state.as_of, accord=accord)
        decision = apply(state, event, received_at=received_at, accord=accord, older=older if is_late else None)
        assert sorted((g["rule"], g["points"]) for g in decision.grants) == sorted(reference.take(event))
        assert decision.state.engagement == pytest.approx(reference.score(), abs=1e-9)
        assert decision.score["as_of"] == reference.as_of
        older.remember(event, received_at, decision.grants)
        state = decision.state


def test_a_state_stays_small_however_long_its_history() -> None:
    rule = {"id": "r", "activity": "did.this", "points": 1, "at_most": {"points": 5, "per": "1d"}}
    follower = {"id": "f", "activity": "did.that", "points": 1, "after": {"activity": "did.this", "within": "1d"}}
    accord, state = accord_with({"half_life": "1d", "cap": 60, "rules": [rule, follower]}), State()
    for hour in range(2000):
        event = activity("did.this", after(hours=hour))
        state = apply(state, event, received_at=event.received_at, accord=accord).state
    assert len(state.windows["r"][1]) <= 15
    assert len(state.preceding["f"][1]) <= 6
