"""The lifecycle events of a decision, as other services and sales tools read them."""

from datetime import datetime
from uuid import UUID

from services.stages.model.routing import Stamp
from services.stages.model.state import Score, State, Told
from services.stages.model.transitions import USUAL_ACTION
from shared.agreement.clocks import Pause, clocks_starting, moment
from shared.agreement.compiled import CompiledAccord
from shared.agreement.rules import ClockRule, Facts
from shared.events.envelope import derived_id
from shared.events.lifecycle import (
    ClockPreview,
    IgnoredReason,
    LeadAssigned,
    LeadQualified,
    PassedOver,
    SalesRecorded,
    Stage,
    StageChanged,
    TransitionReason,
)
from shared.events.sales import SalesAction

_WITH_AMOUNT = frozenset({Stage.OPPORTUNITY, Stage.CUSTOMER})


def told_id(cause_id: UUID, payload: Told) -> UUID:
    """The id of one lifecycle event; several transitions of one cause are told apart by the stage they lead to."""
    discriminator = payload.to_stage if isinstance(payload, StageChanged) and payload.implied else ""
    return derived_id(cause_id, payload.TYPE, discriminator)


def changed(
    before: State, after: State, *, at: datetime, action: SalesAction | None, reason: TransitionReason
) -> StageChanged:
    """One transition. An implied one counts as the action that normally makes it."""
    is_implied = reason is TransitionReason.IMPLIED
    sales_action = action.action if action is not None else None
    sold = action if after.stage in _WITH_AMOUNT else None
    return StageChanged(
        lead_id=after.lead_id,
        version=after.version,
        entry=after.version,
        reason=reason if is_implied or action is None or action.reason is None else action.reason,
        why=reason,
        action=USUAL_ACTION.get(after.stage) if is_implied else sales_action,
        implied=is_implied,
        engagement=after.engagement,
        fit=after.fit,
        grade=after.grade,
        owner=after.owner,
        team=after.team,
        amount=sold.amount if sold is not None else None,
        currency=sold.currency if sold is not None else None,
        occurred_at=at,
        historical=False,
        lead=after.lead,
        from_stage=before.stage,
        to_stage=after.stage,
    )


def assigned(before: State, state: State, stamp: Stamp, at: datetime) -> LeadAssigned:
    """A new owner, and all that the decision took from outside the lead."""
    return LeadAssigned(
        lead_id=state.lead_id,
        version=state.version,
        owner=stamp.owner,
        team=stamp.team,
        why=stamp.why,
        previous_owner=before.owner,
        turn=stamp.turn,
        candidates=stamp.candidates,
        passed_over=stamp.passed_over,
        occurred_at=at,
        lead=state.lead,
    )


def qualified(state: State, score: Score, at: datetime, accord: CompiledAccord, facts: Facts) -> LeadQualified:
    """What a sales tool needs in one event, with the clocks that start now in the order of their deadlines, which a
    snooze that still runs puts off: none that somebody must beat if the score comes from a historical source."""
    rules = () if score.historical else clocks_starting(accord, state.stage, facts)
    clocks = sorted(
        (_preview(accord, rule, at, state.snoozes) for rule in rules), key=lambda clock: (clock.deadline, clock.rule)
    )
    return LeadQualified(
        lead_id=state.lead_id,
        version=state.version,
        engagement=state.engagement,
        fit=state.fit,
        grade=state.grade,
        reasons=score.reasons,
        owner=state.owner,
        team=state.team,
        due=clocks[0] if clocks else None,
        clocks=tuple(clocks),
        accord=accord.version,
        occurred_at=at,
        lead=state.lead,
    )


def _preview(accord: CompiledAccord, rule: ClockRule, at: datetime, snoozes: tuple[Pause, ...]) -> ClockPreview:
    seconds = rule.within.total_seconds()
    pauses = snoozes if rule.pauses_while else ()
    return ClockPreview(rule.id, moment(accord, rule, at, 1.0, pauses), rule.hours, seconds, rule.stops)


def recorded(
    state: State,
    action: SalesAction,
    at: datetime,
    ignored: IgnoredReason | None,
    *,
    passed_over: tuple[PassedOver, ...] = (),
) -> SalesRecorded:
    """A touch, snooze or note; or an action that changed nothing, with the reason."""
    return SalesRecorded(
        lead_id=state.lead_id,
        version=state.version,
        action_id=action.id,
        action=action.action,
        stage=state.stage,
        entry=state.version,
        ignored=ignored,
        reason=action.reason,
        channel=action.channel,
        until=action.until,
        amount=action.amount,
        currency=action.currency,
        note=action.note,
        actor=action.actor,
        owner=state.owner,
        passed_over=passed_over,
        occurred_at=at,
        lead=state.lead,
    )
