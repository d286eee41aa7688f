"""Payloads to and from the bytes on a topic: one list of event types, one way in, one way out."""

from datetime import datetime
from uuid import UUID

import msgspec

from shared.errors import Poison
from shared.events import activity, dead_letter, lifecycle, promises, sales, score, sla
from shared.events.base import Data, Payload
from shared.events.envelope import Event
from shared.events.promises import PromiseEvent

_TOLD: tuple[type[Data], ...] = (
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
    sla.ClockPaused,
    sla.ClockResumed,
    promises.PromiseWarned,
    promises.PromiseKept,
    promises.PromiseBreached,
    promises.PromiseCorrected,
)
_PAYLOADS: tuple[type[Data], ...] = (
    activity.ProfileUpdated,
    activity.Activity,
    activity.LeadErased,
    sales.SalesAction,
    score.ScoreChanged,
    *_TOLD,
)

PAYLOADS: dict[str, type[Data]] = {payload.TYPE: payload for payload in _PAYLOADS}
TOLD_TYPES: tuple[str, ...] = tuple(payload.TYPE for payload in _TOLD)  # what a subscription can ask for
DECODERS: dict[str, msgspec.json.Decoder[Data]] = {payload.TYPE: msgspec.json.Decoder(payload) for payload in _PAYLOADS}
EVENT_TYPES: tuple[str, ...] = (*PAYLOADS, dead_letter.DeadLettered.TYPE)


def decode(event: Event) -> Data | None:
    """The payload of an event; None for a type that this release doesn't know (readers ignore those).

    Raises Poison when the data don't fit the type. The message names fields, never their values.
    """
    decoder = DECODERS.get(event.type)
    if decoder is None:
        return None
    try:
        return decoder.decode(event.value)
    except msgspec.DecodeError as error:
        raise Poison(f"{event.type}: {describe(error)}") from None


def describe(error: msgspec.DecodeError) -> str:
    """What is wrong and where, without the value found (it may be personal data)."""
    message = str(error)
    if message.startswith("Invalid enum value"):
        return f"Not an allowed value - at {message.rpartition(' - at ')[2]}"
    return message


encode = msgspec.json.Encoder().encode  # JSON bytes of a payload, or of anything made of plain values


def event(
    payload: Payload | PromiseEvent,
    *,
    id: UUID,
    time: datetime,
    received_at: datetime,
    accord: int | None = None,
    cause: UUID | None = None,
    after: int | None = None,
    traceparent: str | None = None,
) -> Event:
    """An event that carries this payload, under its key."""
    return Event(id, payload.TYPE, payload.key, time, received_at, encode(payload), accord, cause, after, traceparent)
