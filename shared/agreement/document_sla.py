"""`sla`: clocks and promises."""

from typing import Annotated, Literal

from pydantic import Field

from shared.agreement.document_base import Part
from shared.agreement.values import Duration, Name, PositiveDuration, Share, Target, When
from shared.events.lifecycle import Stage
from shared.events.sales import Action

# Strict models don't turn text into enums by themselves; these two vocabularies stand in shared/events.
StageName = Annotated[Stage, Field(strict=False)]
ActionName = Annotated[Action, Field(strict=False)]
Side = Literal["marketing", "sales"]


class EscalationStep(Part):
    """Who is told when this share of the time has gone, and what happens then."""

    at: Share
    """After which share of the time, such as 100% or 200%."""
    to: Literal["owner", "manager"]
    """Who is told."""
    then: Literal["recycle", "reassign"] | None = None
    """What happens to the lead then."""


class Clock(Part):
    """A promise on each lead that enters a stage."""

    id: Name
    """The name of the clock."""
    starts: StageName
    """The stage that starts it when a lead enters."""
    stops: list[ActionName] = Field(min_length=1)
    """The sales actions of which the first stops it."""
    when: When | None = None
    """For which leads; without it for all."""
    within: PositiveDuration
    """How much time there is, such as 1h."""
    hours: Literal["business", "always"] = "business"
    """Whether only open hours count, or all."""
    warn_at: Share | None = None
    """After which share of the time the owner is warned."""
    escalate: list[EscalationStep] = Field(default=[], max_length=50)
    """What happens when it runs out, step by step."""
    pauses_while: Literal["snoozed"] | None = None
    """While the lead is snoozed its time does not count."""


class Promise(Part):
    """A promise on many leads: either `counts` a stage, or `share_of` one."""

    id: Name
    """The name of the promise."""
    of: Side
    """Who promises."""
    counts: StageName | None = None
    """The stage whose first entries are counted."""
    when: When | None = None
    """Which of them count."""
    share_of: StageName | None = None
    """The stage that a share is taken of."""
    sourced_by: Side | None = None
    """The share whose first activity came from this side."""
    that_reached: StageName | None = None
    """The share that came as far as this stage."""
    at_least: Target
    """A count such as 120, or a share such as 40%."""
    per: Literal["week", "month", "quarter"]
    """The period in which it is counted."""
    warn_at: Share | None = None
    """Below which share of the pace both are warned."""
    settles_after: Duration | None = None
    """How long after its period it is still counted."""


class Sla(Part):
    """All clocks and promises."""

    clocks: list[Clock] = Field(default=[], max_length=200)
    """Promises on each lead."""
    promises: list[Promise] = Field(default=[], max_length=200)
    """Promises on many leads."""
