"""One event after another: scores that qualify, actions that move, touches that are only recorded."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from services.stages.model import told
from services.stages.model.routing import Load, Question, Routing, Rows, Stamp, reassign, route, team_handed_to
from services.stages.model.state import Decision, Input, Score, State, Told
from services.stages.model.transitions import Step, steps
from shared.agreement.compiled import CompiledAccord
from shared.agreement.snoozes import latest, pause_of, touched
from shared.agreement.versions import Accords
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import AssignmentReason, IgnoredReason, Stage, TransitionReason
from shared.events.sales import Action, SalesAction

_RECORDED_ONLY = frozenset({Action.CONTACTED, Action.SNOOZED, Action.NOTE})
_NOT_ASSIGNED = frozenset({Stage.CUSTOMER, Stage.DISQUALIFIED})


def apply(
    state: State, item: Input, *, received_at: datetime, accord: CompiledAccord, routing: Routing | Stamp
) -> Decision:
    """The decision on one score or sales action. A Stamp in place of Routing repeats a decision of the past."""
    context = _Context(accord, received_at, routing)
    if isinstance(item, SalesAction):
        return _act(state, item, context)
    return _score(state, item, context)


def rows_of(decision: Decision, accord: CompiledAccord, received_at: datetime) -> Rows:
    """The rows outside its lead that a decision depends on, or moves in a way that others depend on."""
    stamp, given = decision.stamp, decision.given
    rows = Rows() if stamp is None else stamp.rows(accord, accord.day_of(received_at))
    if given is not None and accord.has_capacity(given.owner):
        rows = rows._replace(loads=rows.loads | {given})
    return rows


class HistoryRow(NamedTuple):
    """One line of a lead's history: a sales action, or the score of that event; with the stamp of what it took."""

    item: Input
    received_at: datetime
    stamp: Stamp | None = None


def fold(lead_id: UUID, history: Iterable[HistoryRow], accords: Accords) -> Iterator[Decision]:
    """Every decision on a lead's whole history in its order; the last has the state."""
    state = State(lead_id)
    for item, received_at, stamp in history:
        accord = accords.at(received_at, at_least=state.accord or None)
        decision = apply(state, item, received_at=received_at, accord=accord, routing=stamp or Routing())
        state = decision.state
        yield decision


class _Context(NamedTuple):
    accord: CompiledAccord
    received_at: datetime
    routing: Routing | Stamp

    @property
    def rows(self) -> Routing:
        return self.routing if isinstance(self.routing, Routing) else Routing()

    def question(self, state: State) -> Question:
        return Question(self.accord, self.facts(state), self.rows, self.received_at)

    def facts(self, state: State) -> Mapping[str, Any]:
        return self.accord.facts(
            engagement=state.engagement,
            fit=state.fit,
            grade=state.grade,
            stage=state.stage,
            owner=state.owner,
            lead=state.lead,
        )


def _score(state: State, score: Score, context: _Context) -> Decision:
    # One call for all fields: this is what a hundred thousand scores a minute come to, and most of them change no more.
    state = State(
        state.lead_id,
        state.stage,
        state.version,
        state.number + 1,
        context.accord.version,
        state.created_at or context.received_at,
        context.received_at,
        state.entered_at,
        state.owner,
        state.team,
        score.engagement,
        score.fit,
        score.grade,
        score.lead,
        True,
        state.is_handed_over,
        state.snoozes,
        state.contacted_at,
    )
    if not _may_qualify(state, score, context) or not context.accord.is_mql(context.facts(state)):
        return Decision(state, (), context.rows)
    moment = _not_before_the_last(state, context.received_at)
    move = _Move(Step(Stage.MQL, False), moment, TransitionReason.SCORE, None, score.historical)
    after, payloads, stamp = _enter(state, move, context)
    qualified = told.qualified(after, score, moment, context.accord, context.facts(after))
    return _routed(Decision(after, (*payloads, qualified), context.rows, stamp), context)


def _may_qualify(state: State, score: Score, context: _Context) -> bool:
    """Only a new lead's stage, or a recycled one's when an activity comes after the cool-down."""
    if state.stage is Stage.LEAD:
        return True
    if state.stage is not Stage.RECYCLED or score.activity is None or state.entered_at is None:
        return False
    received_at = score.activity_received_at or context.received_at
    cool_down = context.accord.cool_down
    return cool_down is None or received_at >= state.entered_at + cool_down


def _act(state: State, action: SalesAction, context: _Context) -> Decision:
    state = state._replace(
        number=state.number + 1,
        accord=context.accord.version,
        created_at=state.created_at or context.received_at,
        updated_at=context.received_at,
    )
    if not state.is_scored:
        email = action.identifiers.get("email") or state.lead.email
        state = state._replace(lead=LeadSnapshot(email), grade=context.accord.grade(0))
    at = min(action.occurred_at, context.received_at)
    if _is_overtaken(state, action):
        return _recorded(state, action, at, context, IgnoredReason.OVERTAKEN)
    if action.action in _RECORDED_ONLY:
        return _recorded(_paused(state, action, at, context.received_at), action, at, context, None)
    if action.action is Action.ASSIGNED:
        if state.stage in _NOT_ASSIGNED:
            return _recorded(state, action, at, context, IgnoredReason.NOT_ALLOWED)
        return _assign(state, action, at, context)
    path = steps(state.stage, action, context.accord)
    if isinstance(path, IgnoredReason):
        return _recorded(state, action, at, context, path)
    return _walk(state, path, action, context)


def _paused(state: State, action: SalesAction, at: datetime, received_at: datetime) -> State:
    """With what sla_monitor will know of the lead's snoozes. A span that is over reaches into no clock to come."""
    snoozes, contacted_at = state.snoozes, state.contacted_at
    if action.action is Action.CONTACTED:
        snoozes, contacted_at = touched(snoozes, at), max(at, contacted_at or at)
    elif action.action is Action.SNOOZED:
        pause = pause_of(at, action.until, () if contacted_at is None else (contacted_at,))
        snoozes = snoozes if pause is None else latest((*snoozes, pause))
    running = tuple(pause for pause in snoozes if pause.to > received_at)
    return state._replace(snoozes=running, contacted_at=contacted_at)


def _is_overtaken(state: State, action: SalesAction) -> bool:
    """Whether a guarded action was decided on an older stage entry or another owner."""
    if action.if_stage_version is not None and action.if_stage_version != state.version:
        return True
    return action.if_owner is not None and action.if_owner != state.owner


def _recorded(
    state: State, action: SalesAction, at: datetime, context: _Context, ignored: IgnoredReason | None
) -> Decision:
    return Decision(state, (told.recorded(state, action, at, ignored),), context.rows, None, ignored)


def _assign(state: State, action: SalesAction, at: datetime, context: _Context) -> Decision:
    if action.owner:
        return _hand_over(state, action.owner, at, context)
    stamp = context.routing
    if isinstance(stamp, Routing):
        stamp = reassign(context.question(state), state.holder, action.not_to)
    if stamp.owner is None:
        ignored = IgnoredReason.NOBODY_ELSE
        refused = told.recorded(state, action, at, ignored, passed_over=stamp.passed_over)
        return Decision(state, (refused,), context.rows, stamp, ignored)
    after = state._replace(owner=stamp.owner, team=stamp.team, is_handed_over=False)
    payload = told.assigned(state, after, stamp, at)
    return _routed(Decision(after, (payload,), context.rows, stamp), context)


def _hand_over(state: State, owner: str, at: datetime, context: _Context) -> Decision:
    """People decide: nobody is passed over, no turn is taken. It depends on no rows, and so is not stamped."""
    question = context.question(state)
    stamp = Stamp(owner, team_handed_to(question, owner, state.holder), AssignmentReason.HANDED_OVER)
    after = state._replace(owner=owner, team=stamp.team, is_handed_over=True)
    given = question.load_of(owner) if owner != state.owner else None
    rows = stamp.applied_to(context.rows, given)
    return Decision(after, (told.assigned(state, after, stamp, at),), rows, given=given)


class _Move(NamedTuple):
    step: Step
    at: datetime
    reason: TransitionReason
    action: SalesAction | None
    is_historical: bool


def _walk(state: State, path: Iterable[Step], action: SalesAction, context: _Context) -> Decision:
    """All the transitions of one action, the implied ones first."""
    at = _not_before_the_last(state, min(action.occurred_at, context.received_at))
    payloads: list[Told] = []
    stamp: Stamp | None = None
    for step in path:
        reason = TransitionReason.IMPLIED if step.is_implied else TransitionReason.SALES
        state, told_now, taken = _enter(state, _Move(step, at, reason, action, action.historical), context)
        payloads += told_now
        stamp = taken or stamp
    return _routed(Decision(state, payloads, context.rows, stamp), context)


def _enter(state: State, move: _Move, context: _Context) -> tuple[State, list[Told], Stamp | None]:
    """The lead in its new stage; on entering `mql` also with its owner."""
    stage = move.step.to
    after = state._replace(stage=stage, version=state.version + 1, entered_at=move.at)
    if stage is not Stage.MQL:
        return after, [_changed(state, after, move)], None
    stamp = context.routing
    if isinstance(stamp, Routing):
        stamp = route(context.question(after), after.holder)
    is_kept = stamp.owner == state.owner
    after = after._replace(owner=stamp.owner, team=stamp.team, is_handed_over=is_kept and state.is_handed_over)
    return after, [_changed(state, after, move), told.assigned(state, after, stamp, move.at)], stamp


def _changed(before: State, after: State, move: _Move) -> Told:
    changed = told.changed(before, after, at=move.at, action=move.action, reason=move.reason)
    return replace(changed, historical=True) if move.is_historical else changed


def _routed(decision: Decision, context: _Context) -> Decision:
    """With the rows as the decision leaves them."""
    stamp = decision.stamp
    if stamp is None:
        return decision
    given = None if stamp.owner is None else Load(stamp.owner, context.accord.day_of(context.received_at))
    return decision._replace(routing=stamp.applied_to(decision.routing, given), given=given)


def _not_before_the_last(state: State, at: datetime) -> datetime:
    """Transitions of a lead never go back in time, whatever a CRM's clock says."""
    return at if state.entered_at is None else max(at, state.entered_at)
