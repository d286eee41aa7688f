"""A lead under another version of the accord: all that it did is granted anew, beside what it was granted before
(ACCORD.md "Versions, signatures, effect"). Its profile, and what is known of it, stay."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from services.scoring.model.grants import HORIZON, Granted, Moment, grant
from services.scoring.model.past import points_of
from services.scoring.model.rules import instant, moment_of, rules_of
from services.scoring.model.scores import About, decide, engagement_of
from services.scoring.model.state import Decision, Done, Earned, Older, State
from shared.agreement.compiled import CompiledAccord
from shared.events.envelope import named_id
from shared.events.lifecycle import Stage

# Between two versions at the same instant nothing decays; what is closer than rounding is the same.
SAME = 1e-9
_VERSIONS = UUID("6f0c4a3e-3c1b-5b5e-9d1c-acc0ad000002")


class Rescore(Struct, frozen=True, kw_only=True):
    """The body of a rescore in a lead's history; it is received when the version comes into effect."""

    version: int


def rescore_id(version: int, lead_id: UUID) -> UUID:
    """uuid5(version, lead): the same wherever and whenever the rescore runs."""
    return named_id(named_id(_VERSIONS, str(version)), str(lead_id))


class Line(NamedTuple):
    """How far a version has granted anew: what it grants so far, in the terms of a state."""

    granted: Granted
    as_of: int


EMPTY = Line(Granted((), {}, {}, {}), 0)


class Regranted(NamedTuple):
    """The line after some more of a lead's activities, and what those were granted."""

    line: Line
    earned: list[Earned]


def regrant(done: Iterable[Done], accord: CompiledAccord, line: Line = EMPTY, older: Older | None = None) -> Regranted:
    """The version's grants for these activities, which follow those that made the line. `older` has what was before
    them; it is asked for when `needs_older` says so of them, and nothing is needed before the first."""
    rules = rules_of(accord)
    granted, as_of = line
    grants, activities = ([], []) if older is None else (list(older.grants), list(older.activities))
    known = Older(grants, activities) if older is not None or line is EMPTY else None
    earned: list[Earned] = []
    for one in done:
        as_of = max(as_of, one.received)
        granted = grant(granted, one, rules, Moment(one.t, as_of, known))
        activities.append(one)
        if granted.grants:
            grants.extend(points_of(one, granted.grants))
            earned.append(Earned(one, accord.version, granted.grants))
    return Regranted(Line(granted, as_of), earned)


def needs_older(done: Iterable[Done], accord: CompiledAccord, as_of: int) -> bool:
    """Whether one of these comes so late that a limit or a precondition may need what a line has forgotten."""
    rules = rules_of(accord)
    for one in done:
        as_of = max(as_of, one.received)
        if one.t < as_of - HORIZON and any(rule.limit or rule.after for rule in rules.on.get(one.type, ())):
            return True
    return False


class Rescored(NamedTuple):
    """A lead after its rescore. `is_changed`: the two versions give different scores at the time of the rescore.
    `qualifies_newly`: `stages.mql` of the new one holds and that of the one before did not, asked as of a lead in the
    stage `lead` without an owner, since scoring doesn't know where it stands."""

    decision: Decision
    is_changed: bool
    qualifies_newly: bool


def rescore(
    state: State, regranted: Regranted, accord: CompiledAccord, *, before: CompiledAccord, effective_at: datetime
) -> Rescored:
    """The lead under `accord`, which has granted all of it anew; `before` is the version that it carries."""
    as_of = max(state.as_of, instant(effective_at))
    found = accord.fit(state.profile, state.email)
    about = About(
        state.profile,
        state.profile_at,
        state.email,
        state.source,
        state.campaign,
        state.first_source,
        state.first_team,
        found.points,
        [[id, points] for id, points in found.rules],
        found.grade,
    )
    granted = regranted.line.granted._replace(grants=())
    decision = decide(state, about, granted, accord, as_of)
    was = state._replace(engagement=_engagement(state, before, as_of))
    after = decision.state
    is_changed = abs(after.engagement - was.engagement) > SAME or (after.fit, after.grade) != (was.fit, was.grade)
    decision.score["changed"], decision.score["as_of"] = is_changed, moment_of(as_of)
    qualifies_newly = _is_mql(after, accord) and not _is_mql(was, before)
    return Rescored(decision._replace(also=regranted.earned), is_changed, qualifies_newly)


def _engagement(state: State, accord: CompiledAccord, as_of: int) -> float:
    return engagement_of(state.totals, rules_of(accord), as_of, accord.cap)


def _is_mql(state: State, accord: CompiledAccord) -> bool:
    engagement, fit, grade = state.engagement, state.fit, state.grade
    facts = accord.facts(engagement=engagement, fit=fit, grade=grade, stage=Stage.LEAD, owner=None, lead=state)
    return accord.is_mql(facts)
