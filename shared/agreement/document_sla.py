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
    to: Literal["owner", "manager"]
    then: Literal["recycle", "reassign"] | None = None


class Clock(Part):
    """A promise on each lead that enters a stage."""

    id: Name
    starts: StageName
    stops: list[ActionName] = Field(min_length=1)
    when: When | None = None
    within: PositiveDuration
    hours: Literal["business", "always"] = "business"
    warn_at: Share | None = None
    escalate: list[EscalationStep] = Field(default=[], max_length=50)
    pauses_while: Literal["snoozed"] | None = None


class Promise(Part):
    """A promise on many leads: either `counts` a stage, or `share_of` one."""

    id: Name
    of: Side
    counts: StageName | None = None
    when: When | None = None
    share_of: StageName | None = None
    sourced_by: Side | None = None
    that_reached: StageName | None = None
    at_least: Target
    per: Literal["week", "month", "quarter"]
    warn_at: Share | None = None
    settles_after: Duration | None = None


class Sla(Part):
    """All clocks and promises."""

    clocks: list[Clock] = Field(default=[], max_length=200)
    promises: list[Promise] = Field(default=[], max_length=200)
