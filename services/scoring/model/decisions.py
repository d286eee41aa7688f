"""One event after another: the state, the score that is told, and its reasons in words."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import fsum
from typing import Any

from services.scoring.model.grants import Granted, grant
from services.scoring.model.state import Decision, Input, Older, State, instant
from shared.agreement.compiled import CompiledAccord
from shared.agreement.decay import bounded, worth
from shared.agreement.versions import Accords
from shared.events.activity import Activity, ProfileUpdated

REASONS_MAX = 5


def apply(
    state: State, item: Input, *, received_at: datetime, accord: CompiledAccord, older: Older | None = None
) -> Decision:
    """The decision on one activity or profile update. `older` must be there when `may_need_older` says so."""
    occurred_at = min(item.occurred_at, received_at)
    learned = _learn(state, item, occurred_at, received_at)
    if accord.version != state.accord:
        learned = _under(learned, accord)
    elif learned.profile is not state.profile or learned.email != state.email:
        learned = _refitted(learned, accord)
    activity = item if isinstance(item, Activity) else None
    if activity is None:
        granted = Granted((), learned.totals, learned.windows, learned.preceding)
    else:
        granted = grant(learned, activity, occurred_at, accord=accord, older=older)
    engagement, reasons = _weigh(learned, granted, accord)
    after = learned._replace(
        version=state.version + 1,
        number=state.number + 1,
        totals=granted.totals,
        windows=granted.windows,
        preceding=granted.preceding,
        engagement=engagement,
    )
    changed = engagement != state.engagement or after.fit != state.fit or after.grade != state.grade
    score = _told(after, reasons, granted)
    score["changed"] = changed
    if activity is not None:
        score["activity"], score["activity_received_at"] = activity.type, received_at
    return Decision(after, score, granted.grants)


def fold(history: Iterable[tuple[Input, datetime]], accords: Accords) -> list[Decision]:
    """Every decision on a lead's whole history, given as (input, received_at) in its order; the last has the state."""
    state, older, decisions = State(), Older([], []), []
    for item, received_at in history:
        accord = accords.at(received_at, at_least=state.accord or None)
        decision = apply(state, item, received_at=received_at, accord=accord, older=older)
        older.remember(item, received_at, decision.grants)
        decisions.append(decision)
        state = decision.state
    return decisions


def _learn(state: State, item: Input, occurred_at: datetime, received_at: datetime) -> State:
    """The state with what the event says about the lead, as of this event."""
    as_of = max(state.as_of, received_at)
    email = item.identifiers.get("email") or state.email
    if isinstance(item, ProfileUpdated):
        profile, profile_at = _merged(state, item.fields, instant(occurred_at))
        return state._replace(as_of=as_of, email=email, profile=profile, profile_at=profile_at)
    return state._replace(
        as_of=as_of,
        email=email,
        source=item.source or state.source,
        campaign=item.campaign or state.campaign,
        first_source=item.source if state.first_source is None else state.first_source,
        first_team=item.team if state.first_source is None else state.first_team,
    )


def _merged(state: State, fields: Mapping[str, Any], t: int) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    """Per field the value that occurred last wins; of two at the same time the one applied later. None removes."""
    news = {field: value for field, value in fields.items() if t >= state.profile_at.get(field, t)}
    if not news:
        return state.profile, state.profile_at
    profile_at = {**state.profile_at, **dict.fromkeys(news, t)}
    profile = {field: value for field, value in {**state.profile, **news}.items() if value is not None}
    return profile, profile_at


def _under(state: State, accord: CompiledAccord) -> State:
    """The state under another version: totals of rules that it doesn't have are no longer worth anything."""
    totals = {id: total for id, total in state.totals.items() if _has_rule(accord, id)}
    return _refitted(state._replace(totals=totals, accord=accord.version), accord)


def _has_rule(accord: CompiledAccord, id: str) -> bool:
    try:
        accord.rule(id)
    except KeyError:
        return False
    return True


def _refitted(state: State, accord: CompiledAccord) -> State:
    fit = accord.fit(state.profile, state.email)
    return state._replace(fit=fit.points, fit_rules=fit.rules, grade=fit.grade)


def _weigh(state: State, granted: Granted, accord: CompiledAccord) -> tuple[float, list[dict[str, Any]]]:
    """Engagement as of this event, and the reasons that weigh most."""
    reasons: list[tuple[float, str]] = []
    for id, total in granted.totals.items():
        rule = accord.rule(id)
        points = worth(total.worth, total.at, rule.half_life, state.as_of)
        reasons.append((points, rule.words if total.count == 1 else f"{rule.words} ×{total.count}"))
    engagement = bounded(fsum([points for points, _ in reasons]), accord.cap)
    for id, fit_points in state.fit_rules:
        reasons.append((float(fit_points), accord.fit_words(id)))
    reasons.sort(key=_weight, reverse=True)
    return engagement, [{"words": words, "points": points} for points, words in reasons[:REASONS_MAX]]


def _weight(reason: tuple[float, str]) -> float:
    return abs(reason[0])


def _told(state: State, reasons: list[dict[str, Any]], granted: Granted) -> dict[str, Any]:
    """The data of `accord.score.changed`, as a mapping that is encoded without a model in between."""
    return {
        "version": state.version,
        "engagement": state.engagement,
        "fit": state.fit,
        "grade": state.grade,
        "as_of": state.as_of,
        "reasons": reasons,
        "grants": granted.grants,
        "lead": {
            "email": state.email,
            "profile": state.profile,
            "source": state.source,
            "campaign": state.campaign,
            "first_source": state.first_source,
            "first_team": state.first_team,
        },
    }
