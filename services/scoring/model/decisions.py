"""One event after another: the state, the score that is told, and its reasons in words."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from math import fsum
from typing import Any, NamedTuple

from services.scoring.model.grants import HORIZON, Granted, Moment, grant
from services.scoring.model.rules import EPOCH, MICROSECOND, Rules, instant, rules_of
from services.scoring.model.state import Decision, Input, Older, State, Total
from shared.agreement.compiled import CompiledAccord
from shared.agreement.decay import bounded
from shared.agreement.versions import Accords
from shared.events.activity import Activity, ProfileUpdated

REASONS_MAX = 5


def may_need_older(item: Input, *, received_at: datetime, as_of: int, accord: CompiledAccord) -> bool:
    """Whether an event comes so late that a limit or a precondition may need what the state has forgotten."""
    if not isinstance(item, Activity) or instant(min(item.occurred_at, received_at)) >= as_of - HORIZON:
        return False
    return any(rule.limit or rule.after for rule in rules_of(accord).on.get(item.type, ()))


def apply(
    state: State, item: Input, *, received_at: datetime, accord: CompiledAccord, older: Older | None = None
) -> Decision:
    """The decision on one activity or profile update. `older` must be there when `may_need_older` says so."""
    received = instant(received_at)
    moment = Moment(min(instant(item.occurred_at), received), max(state.as_of, received), older)
    rules = rules_of(accord)
    if accord.version != state.accord:
        # Totals of rules that this version doesn't have are no longer worth anything.
        state = state._replace(totals={id: total for id, total in state.totals.items() if id in rules.by_id})
    if isinstance(item, Activity):
        granted = grant(state, item, rules, moment)
    else:
        granted = Granted((), state.totals, state.windows, state.preceding)
    about = _learn(state, item, moment.t, accord)
    points = _points(granted.totals, rules, moment.as_of)
    after = State(
        state.version + 1,
        state.number + 1,
        accord.version,
        moment.as_of,
        granted.totals,
        granted.windows,
        granted.preceding,
        *about[:-3],
        bounded(fsum([value for _, _, value, _ in points]), accord.cap),
        *about[-3:],
    )
    score = _score_data(state, after, granted, _reasons(points, after, accord))
    if isinstance(item, Activity):
        score["activity"], score["activity_received_at"] = item.type, received_at
    score["as_of"] = received_at if moment.as_of == received else EPOCH + moment.as_of * MICROSECOND
    return Decision(after, score, granted.grants)


def fold(history: Iterable[tuple[Input, datetime]], accords: Accords) -> Iterator[Decision]:
    """Every decision on a lead's whole history, given as (input, received_at) in its order; the last has the state."""
    state, older = State(), Older([], [])
    for item, received_at in history:
        accord = accords.at(received_at, at_least=state.accord or None)
        decision = apply(state, item, received_at=received_at, accord=accord, older=older)
        older.remember(item, received_at, decision.grants)
        state = decision.state
        yield decision


class _About(NamedTuple):
    """What is known about the lead: the fields of State from `profile` on, without the engagement."""

    profile: Mapping[str, Any]
    profile_at: Mapping[str, int]
    email: str | None
    source: str | None
    campaign: str | None
    first_source: str | None
    first_team: str | None
    fit: int
    fit_rules: Any
    grade: str


def _learn(state: State, item: Input, t: int, accord: CompiledAccord) -> _About:
    """What is known after the event; the fit is looked at again only when something about the lead changed."""
    email = item.identifiers.get("email") or state.email
    profile, profile_at = state.profile, state.profile_at
    source, campaign, first = state.source, state.campaign, (state.first_source, state.first_team)
    if isinstance(item, ProfileUpdated):
        profile, profile_at = _merged(state, item.fields, t)
    else:
        source, campaign = item.source or source, item.campaign or campaign
        if state.first_source is None:
            first = (item.source, item.team)
    fit: tuple[int, Any, str] = (state.fit, state.fit_rules, state.grade)
    if profile is not state.profile or email != state.email or accord.version != state.accord:
        found = accord.fit(profile, email)
        fit = (found.points, [[id, points] for id, points in found.rules], found.grade)
    return _About(profile, profile_at, email, source, campaign, first[0], first[1], fit[0], fit[1], fit[2])


def _merged(state: State, fields: Mapping[str, Any], t: int) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    """Per field the value that occurred last wins; of two at the same time the one applied later. None removes."""
    news = {field: value for field, value in fields.items() if t >= state.profile_at.get(field, t)}
    if not news:
        return state.profile, state.profile_at
    profile = {field: value for field, value in {**state.profile, **news}.items() if value is not None}
    return profile, {**state.profile_at, **dict.fromkeys(news, t)}


# What one rule's grants, or one fit rule, come to: -|points|, words, points, count. They sort by what weighs most.
_Reason = tuple[float, str, float, int]


def _points(totals: Mapping[str, Total], rules: Rules, as_of: int) -> list[_Reason]:
    """What each rule's grants are worth now."""
    points = []
    for id, (before, at, count) in totals.items():
        rule = rules.by_id[id]
        half_life = rule.half_life
        # `worth`, spelled out: every rule of every event passes here.
        value = before if half_life is None else before * 2.0 ** ((at - as_of) / half_life)
        points.append((-abs(value), rule.words, value, count))
    return points


def _reasons(points: list[_Reason], state: State, accord: CompiledAccord) -> list[dict[str, Any]]:
    """What weighs most, in words."""
    fit = [(-abs(float(fit)), accord.fit_words(id), float(fit), 1) for id, fit in state.fit_rules]
    return [
        {"words": words if count == 1 else f"{words} ×{count}", "points": value}
        for _, words, value, count in sorted(points + fit)[:REASONS_MAX]
    ]


def _score_data(before: State, state: State, granted: Granted, reasons: list[dict[str, Any]]) -> dict[str, Any]:
    """The data of `accord.score.changed`, as a mapping that is encoded without a model in between."""
    return {
        "version": state.version,
        "changed": (state.engagement, state.fit, state.grade) != (before.engagement, before.fit, before.grade),
        "engagement": state.engagement,
        "fit": state.fit,
        "grade": state.grade,
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
