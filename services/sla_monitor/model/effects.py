"""What a level of escalation does beside telling somebody: who is told, and the guarded sales action that is sent back
(ACCORD.md "Clocks": `then`)."""

from collections.abc import Container
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from services.sla_monitor.model.ladder import LadderStep
from services.sla_monitor.model.states import Clock, Effect
from shared.agreement.compiled import CompiledAccord
from shared.events.envelope import derived_id
from shared.events.sales import Action, SalesAction
from shared.events.sla import ClockEscalated

SENDER: Final = "sla-monitor"
REASSIGN: Final = "reassign"
_ACTIONS: Final = {"recycle": Action.RECYCLED, REASSIGN: Action.ASSIGNED}


class Told(NamedTuple):
    """Who is told at a level, by part and by name, and what is done then."""

    to: str | None
    whom: str | None
    then: str | None


def has_successor(clock: Clock, team: str | None, accord: CompiledAccord, absent: Container[str]) -> bool:
    """Whether an active owner of the team is left who has had none of the attempts. A lead of no team is routed."""
    if team is None:
        return True
    had = (*clock.tried, clock.owner)
    return any(one.owner not in had and one.owner not in absent for one in accord.owners(team))


def told(step: LadderStep, *, owner: str | None, manager: str | None, has_successor: bool) -> Told:
    """Once every active owner has had the lead, only the manager is told."""
    to, then = step.to, step.then
    if then == REASSIGN and not has_successor:
        to, then = "manager", None
    return Told(to, manager if to == "manager" else owner, then)


def escalation_id(clock: Clock, level: int) -> UUID:
    """The id of the event `accord.clock.escalated` of this level."""
    return derived_id(clock.clock_id, ClockEscalated.TYPE, str(level))


def effect(clock: Clock, step: LadderStep, at: datetime) -> Effect:
    """The action of this level, which stages ignores unless the lead is still in the clock's stage entry and, for
    reassign, still with the clock's owner."""
    assert step.then is not None
    cause = escalation_id(clock, step.level)
    action = SalesAction(
        lead_id=clock.lead_id,
        id=derived_id(cause, SalesAction.TYPE, step.then),
        action=_ACTIONS[step.then],
        occurred_at=at,
        received_at=at,
        source=SENDER,
        actor=SENDER,
        reason=f"{clock.rule}, level {step.level}",
        if_stage_version=clock.entry,
        if_owner=clock.owner if step.then == REASSIGN else None,
        not_to=clock.tried if step.then == REASSIGN else (),
    )
    return Effect(cause, clock.accord, action)
