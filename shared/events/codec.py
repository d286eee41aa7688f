"""Payloads to and from the bytes on a topic: one list of event types, one way in, one way out."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ValidationError

from shared.errors import Poison
from shared.events import activity, dead_letter, lifecycle, sales, score, sla
from shared.events.base import Payload
from shared.events.envelope import Event

_TOLD: tuple[type[Payload], ...] = (
    lifecycle.StageChanged,
    lifecycle.LeadQualified,
    lifecycle.LeadAssigned,
    lifecycle.SalesRecorded,
    sla.ClockStarted,
    sla.ClockWarned,
    sla.ClockMet,
    sla.ClockBreached,
    sla.ClockEscalated,
    sla.ClockResolved,
    sla.ClockVoided,
    sla.ClockCancelled,
)
_PAYLOADS: tuple[type[Payload], ...] = (
    activity.ProfileUpdated,
    activity.Activity,
    sales.SalesAction,
    score.ScoreChanged,
    *_TOLD,
)

PAYLOADS: dict[str, type[Payload]] = {payload.TYPE: payload for payload in _PAYLOADS}
TOLD_TYPES: tuple[str, ...] = tuple(payload.TYPE for payload in _TOLD)  # what a subscription can ask for
EVENT_TYPES: tuple[str, ...] = (*PAYLOADS, dead_letter.DeadLettered.TYPE)


def decode(event: Event) -> Payload | None:
    """The payload of an event; None for a type that this release doesn't know (readers ignore those).

    Raises Poison when the data don't fit the type. The message names fields, never their values.
    """
    payload = PAYLOADS.get(event.type)
    if payload is None:
        return None
    try:
        return payload.model_validate_json(event.value)
    except ValidationError as error:
        raise Poison(f"{event.type}: {describe(error)}") from None


def describe(error: ValidationError) -> str:
    """`field: what is wrong` for each error, without the values found (they may be personal data)."""
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'data'}: {e['msg']}" for e in error.errors(include_input=False))


def encode(payload: BaseModel) -> bytes:
    """JSON bytes of a payload."""
    return payload.__pydantic_serializer__.to_json(payload)


def event(
    payload: Payload,
    *,
    id: UUID,
    time: datetime,
    received_at: datetime,
    accord: int | None = None,
    cause: UUID | None = None,
    after: int | None = None,
    traceparent: str | None = None,
) -> Event:
    """An event that carries this payload, keyed by its lead."""
    return Event(
        id, payload.TYPE, payload.lead_id, time, received_at, encode(payload), accord, cause, after, traceparent
    )
