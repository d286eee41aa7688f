"""One event after another: what an activity or a profile update comes to, under its version and, if it is late, under
each since its own (ACCORD.md "Versions, signatures, effect")."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from services.scoring.model.grants import HORIZON, Granted, Moment, grant
from services.scoring.model.past import Past, done_of
from services.scoring.model.rescoring import Rescore, regrant, rescore
from services.scoring.model.rules import instant, moment_of, rules_of
from services.scoring.model.scores import About, decide
from services.scoring.model.state import Decision, Done, Earned, Input, Older, State, Window
from shared.agreement.compiled import CompiledAccord
from shared.agreement.versions import Accords
from shared.events.activity import UNNAMED_SOURCE, Activity, ProfileUpdated


class NotRescored(LookupError):
    """A lead is rescored before an event of a later version is applied to it."""


def may_need_older(item: Input, *, received_at: datetime, as_of: int, accord: CompiledAccord) -> bool:
    """Whether an event comes so late that a limit or a precondition may need what the state has forgotten."""
    if not isinstance(item, Activity) or instant(min(item.occurred_at, received_at)) >= as_of - HORIZON:
        return False
    return any(rule.limit or rule.after for rule in rules_of(accord).on.get(item.type, ()))


def apply(
    state: State, item: Input, *, received_at: datetime, accord: CompiledAccord, older: Older | None = None
) -> Decision:
    """The decision on one activity or profile update. `older` must be there when `may_need_older` says so."""
    if accord.version != state.accord and state.number:
        raise NotRescored(f"the lead carries version {state.accord}, the event is one of version {accord.version}")
    received = instant(received_at)
    moment = Moment(min(instant(item.occurred_at), received), max(state.as_of, received), older)
    if isinstance(item, Activity):
        granted = grant(state, item, rules_of(accord), moment)
    else:
        granted = Granted((), state.totals, state.windows, state.preceding)
    decision = decide(state, _learn(state, item, moment.t, accord), granted, accord, moment.as_of)
    decision.score["as_of"] = received_at if moment.as_of == received else moment_of(moment.as_of)
    if isinstance(item, Activity):
        decision.score["activity"], decision.score["activity_received_at"] = item.type, received_at
    if item.historical:
        decision.score["historical"] = True
    return decision


def is_late(received_at: datetime, accord: int, accords: Accords) -> bool:
    """Whether an event belongs to an earlier version than the one that its lead carries."""
    return bool(accords.since(accords.at(received_at).version, accord))


def decide_on(
    state: State, event_id: UUID, item: Input, received_at: datetime, *, accords: Accords, past: Past | None
) -> Decision:
    """As `apply`, under the version that the event is to be decided by, and what it is granted under each since its
    own. The lead was rescored under it before. `past` must be there when `may_need_older` or `is_late` says so."""
    accord = accords.at(received_at, at_least=state.accord or None)
    own = accord if len(accords) == 1 else accords.at(received_at)
    older = None if past is None else past.under(accord.version)
    decision = apply(state, item, received_at=received_at, accord=accord, older=older)
    if past is None:
        if own is not accord and isinstance(item, Activity):
            raise LookupError("an event of an earlier version needs the lead's past: is_late is asked first")
        return decision
    if isinstance(item, Activity):
        done = done_of(event_id, item, received_at)
        earlier = [own, *accords.since(own.version, accord.version)][:-1]
        also = [_granted_late(done, version, past, accords) for version in earlier]
        decision = decision._replace(also=also)
        past.remember(done)
        past.add([*also, Earned(done, accord.version, decision.grants)])
    return decision


def _granted_late(done: Done, accord: CompiledAccord, past: Past, accords: Accords) -> Earned:
    """The grants of a version that the lead no longer carries: no state has its windows, so all is looked up."""
    rules = rules_of(accord)
    following = accords.following(accord.version)
    until = None if following is None else instant(accords.effective_at(following.version))
    older = past.under(accord.version, until)
    before = Granted(
        (),
        {rule: [0.0, 0, 0] for rule, _, _ in older.grants},
        {id: _FORGOTTEN for id, rule in rules.by_id.items() if rule.limit},
        {id: _FORGOTTEN for id, rule in rules.by_id.items() if rule.after},
    )
    granted = grant(before, done, rules, Moment(done.t, done.received, older))
    return Earned(done, accord.version, granted.grants)


# A window that remembers nothing, so that the older grants are asked.
_FORGOTTEN: Window = [1 << 62, []]


def fold(history: Iterable[tuple[UUID, Input | Rescore, datetime]], accords: Accords) -> Iterator[Decision]:
    """Every decision on a lead's whole history, given as (event id, input, received_at) in its order; the last has the
    state."""
    state, past = State(), Past()
    for event_id, item, received_at in history:
        if isinstance(item, Rescore):
            accord, before = accords.version(item.version), accords.version(state.accord)
            regranted = regrant(past.done, accord)
            past.add(regranted.earned)
            decision = rescore(state, regranted, accord, before=before, effective_at=received_at).decision
        else:
            decision = decide_on(state, event_id, item, received_at, accords=accords, past=past)
        state = decision.state
        yield decision


def _learn(state: State, item: Input, t: int, accord: CompiledAccord) -> About:
    """What is known after the event; the fit is looked at again only when something about the lead changed."""
    email = item.identifiers.get("email") or state.email
    if isinstance(item, Activity) and email == state.email and state.first_source is not None:
        where = (_source(state, item), item.campaign or state.campaign, state.first_source, state.first_team)
        about = (state.profile, state.profile_at, email, *where, state.fit, state.fit_rules, state.grade)
        return tuple.__new__(About, about)  # most activities teach no more
    profile, profile_at = state.profile, state.profile_at
    source, campaign, first = state.source, state.campaign, (state.first_source, state.first_team)
    if isinstance(item, ProfileUpdated):
        profile, profile_at = _merged(state, item.fields, t)
    else:
        source, campaign = _source(state, item), item.campaign or campaign
        if state.first_source is None:
            first = (item.source, item.team)
    fit: tuple[int, Any, str] = (state.fit, state.fit_rules, state.grade)
    if profile is not state.profile or email != state.email or not state.number:
        found = accord.fit(profile, email)
        fit = (found.points, [[id, points] for id, points in found.rules], found.grade)
    return About(profile, profile_at, email, source, campaign, first[0], first[1], fit[0], fit[1], fit[2])


def _source(state: State, activity: Activity) -> str | None:
    """That of the latest activity that names one; until one does, that of those that don't."""
    is_named = activity.source and activity.source != UNNAMED_SOURCE
    return activity.source if is_named else state.source or activity.source


def _merged(state: State, fields: Mapping[str, Any], t: int) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    """Per field the value that occurred last wins; of two at the same time the one applied later. None removes."""
    news = {field: value for field, value in fields.items() if t >= state.profile_at.get(field, t)}
    if not news:
        return state.profile, state.profile_at
    profile = {field: value for field, value in {**state.profile, **news}.items() if value is not None}
    return profile, {**state.profile_at, **dict.fromkeys(news, t)}
