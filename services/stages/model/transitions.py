"""The table of transitions (ACCORD.md "Stages"): which action leads from where to where, and through what."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from shared.agreement.compiled import CompiledAccord
from shared.events.lifecycle import IgnoredReason, Stage
from shared.events.sales import Action, SalesAction

LINE: Final = (Stage.LEAD, Stage.MQL, Stage.SAL, Stage.SQL, Stage.OPPORTUNITY, Stage.CUSTOMER)
_RANK: Final = {stage: rank for rank, stage in enumerate(LINE)}

# The action that normally makes an entry; `mql` is made by a score.
USUAL_ACTION: Final = {
    Stage.SAL: Action.ACCEPTED,
    Stage.SQL: Action.QUALIFIED,
    Stage.OPPORTUNITY: Action.OPPORTUNITY_OPENED,
    Stage.CUSTOMER: Action.WON,
}


class _Row(NamedTuple):
    """One row of the table. `to` None: what the accord says for the action's reason."""

    first: Stage
    last: Stage
    to: Stage | None


_TABLE: Final = {
    Action.ACCEPTED: _Row(Stage.MQL, Stage.MQL, Stage.SAL),
    Action.REJECTED: _Row(Stage.MQL, Stage.SAL, None),
    Action.QUALIFIED: _Row(Stage.SAL, Stage.SAL, Stage.SQL),
    Action.OPPORTUNITY_OPENED: _Row(Stage.SQL, Stage.SQL, Stage.OPPORTUNITY),
    Action.WON: _Row(Stage.OPPORTUNITY, Stage.OPPORTUNITY, Stage.CUSTOMER),
    Action.LOST: _Row(Stage.OPPORTUNITY, Stage.OPPORTUNITY, Stage.RECYCLED),
    Action.RECYCLED: _Row(Stage.MQL, Stage.SQL, Stage.RECYCLED),
    Action.DISQUALIFIED: _Row(Stage.LEAD, Stage.OPPORTUNITY, Stage.DISQUALIFIED),
}

# What sets a lead aside does nothing to one that is recycled already (a second click, a CRM that tells it twice).
_SETS_ASIDE: Final = frozenset({Action.REJECTED, Action.LOST, Action.RECYCLED})


class Step(NamedTuple):
    """One transition to make."""

    to: Stage
    is_implied: bool


def steps(stage: Stage, action: SalesAction, accord: CompiledAccord) -> Sequence[Step] | IgnoredReason:
    """The transitions that an action makes from a stage, in order, or why it makes none."""
    if action.action is Action.REOPENED:
        return (Step(Stage.LEAD, False),) if stage is Stage.DISQUALIFIED else _refusal(stage)
    row = _TABLE[action.action]
    to = row.to
    if to is None:
        known = accord.rejection(action.reason)
        if known is None:
            return IgnoredReason.UNKNOWN_REASON
        to = Stage(known)
    if stage is Stage.DISQUALIFIED:
        return IgnoredReason.NOT_ALLOWED
    if stage is Stage.RECYCLED and action.action in _SETS_ASIDE:
        return IgnoredReason.NOT_ALLOWED
    # A recycled lead stands where a new one does: sales may take it up again at any step.
    rank = _RANK.get(stage, 0)
    if rank > _RANK[row.last]:
        return _refusal(stage)
    return (*(Step(between, True) for between in LINE[rank + 1 : _RANK[row.first] + 1]), Step(to, False))


def _refusal(stage: Stage) -> IgnoredReason:
    """An action that would take a lead back down the line is told apart from one that makes no sense here."""
    return IgnoredReason.BACKWARDS if _RANK.get(stage, 0) > 0 else IgnoredReason.NOT_ALLOWED
