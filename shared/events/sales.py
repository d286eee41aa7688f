"""Events on accord.sales.v1: what sales did to a lead."""

from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from msgspec import field

from shared.events.base import Instant, Name, Payload


class Action(StrEnum):
    """Everything sales can do to a lead (ACCORD.md "Stages")."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    QUALIFIED = "qualified"
    OPPORTUNITY_OPENED = "opportunity.opened"
    WON = "won"
    LOST = "lost"
    RECYCLED = "recycled"
    DISQUALIFIED = "disqualified"
    REOPENED = "reopened"
    ASSIGNED = "assigned"
    CONTACTED = "contacted"
    SNOOZED = "snoozed"
    NOTE = "note"


# More than any deal is worth in any currency; and sums of such amounts stay numbers.
AMOUNT_MAX: Final = 1e15


class SalesAction(Payload, frozen=True, kw_only=True):
    """One sales action. `if_stage_version` and `if_owner` guard actions that Accord itself sends back; `not_to` are the
    owners to whom a lead is not assigned by routing, because they have had it."""

    TYPE: ClassVar[str] = "accord.sales.action"

    id: UUID
    action: Action
    occurred_at: Instant
    received_at: Instant
    source: Name
    actor: Name | None = None
    historical: bool = False
    identifiers: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    channel: str | None = None
    until: Instant | None = None
    amount: float | None = None
    currency: str | None = None
    owner: Name | None = None
    note: str | None = None
    if_stage_version: int | None = None
    if_owner: str | None = None
    not_to: tuple[str, ...] = ()
