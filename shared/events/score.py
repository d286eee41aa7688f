"""Events on accord.score.v1: what a lead is worth, and why."""

from typing import ClassVar

from msgspec import Struct

from shared.events.base import Instant, LeadSnapshot, Payload, Reason


class Grant(Struct, frozen=True):
    """What one rule granted to one activity, and what a cap or condition withheld."""

    rule: str
    points: int
    withheld: int = 0
    why: str | None = None


class ScoreChanged(Payload, frozen=True, kw_only=True):
    """The score after one accepted activity, profile update, merge or rescore, changed or not. `changed`: another one
    than was told last; after a rescore, than the version before gives at the same time. `historical`: what caused it
    came from a source that sends what happened long ago."""

    TYPE: ClassVar[str] = "accord.score.changed"

    version: int
    changed: bool
    engagement: float
    fit: int
    grade: str
    as_of: Instant
    reasons: tuple[Reason, ...] = ()
    grants: tuple[Grant, ...] = ()
    activity: str | None = None
    activity_received_at: Instant | None = None
    lead: LeadSnapshot
    historical: bool = False
