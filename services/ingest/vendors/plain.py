"""Accord's own plain JSON: one event, or `{events: [...]}` (HTTP.md "Ingest")."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from pydantic import ValidationError

from services.ingest.model import (
    KEY_TWICE,
    PATH_CHARACTERS_MAX,
    DuplicateKeys,
    Fault,
    Identifier,
    Kind,
    Oversized,
    Posted,
    Refused,
    check_value,
    event_id,
    read_instant,
)
from services.ingest.schemas import EventShape, LeadShape, PostedEvent, SalesData
from shared.email_address import normalise_email
from shared.events.codec import encode
from shared.events.sales import Action
from shared.http.problems import field_errors

ACTIONS = tuple(action.value for action in Action)
_RESERVED_KINDS = ("email", "anonymous_id")


class Sender(NamedTuple):
    """Who posts, as far as events are concerned. `source` and `team` are None where the key is bound to no source."""

    name: str
    source: str | None
    team: str | None
    teams: dict[str, str]  # team by source name, for events that name their source
    historical: frozenset[str] = frozenset()  # names of sources that send what happened long ago


class Reading(Struct, frozen=True):
    """What surrounds the events of one request."""

    sender: Sender
    received_at: datetime
    check_text: bool
    event_bytes_max: int | None  # None: none of the events can be too large


def split(body: Any) -> Sequence[Any]:
    """The events of a body. Raises Refused when it is neither one event nor `{events: [...]}`."""
    if not isinstance(body, dict):
        raise Refused(Fault("", "must be one event (an object) or {events: [...]}"))
    if "events" not in body:
        return [body]
    if isinstance(body, DuplicateKeys):
        raise Refused(Fault("", KEY_TWICE))
    events = body["events"]
    if not isinstance(events, list) or not events:
        raise Refused(Fault("events", "must be a list of at least one event"))
    if len(body) > 1:
        extra = sorted(set(body) - {"events"})[0]
        raise Refused(Fault(extra[:100], "is not allowed beside events"))
    return events


def read_event(raw: Any, reading: Reading) -> Posted:
    """One plain event as it is accepted. Raises Refused with every fault of its shape."""
    if not isinstance(raw, dict):
        raise Refused(Fault("", "must be an object"))
    check_value(raw, "", check_text=reading.check_text)
    if reading.event_bytes_max is not None and len(encode(raw)) > reading.event_bytes_max:
        raise Oversized(Fault("", f"larger than {reading.event_bytes_max} bytes"))
    event = _shaped(raw)
    sender = reading.sender
    source = sender.source or event.source or sender.name
    kind = _kind(event.type)
    occurred_at = reading.received_at
    if event.occurred_at is not None:
        occurred_at = min(read_instant(event.occurred_at, "occurred_at"), reading.received_at)
    return Posted(
        event_id(source, event.id, raw, reading.received_at),
        kind,
        event.type,
        occurred_at,
        reading.received_at,
        identifiers_of(event.lead),
        event.profile or {},
        _sales_data(event.type, event.data or {}) if kind == "sales" else event.data or {},
        source,
        sender.team or sender.teams.get(source) or ("sales" if kind == "sales" else "marketing"),
        event.campaign,
        source in sender.historical,
    )


def _shaped(raw: dict[str, Any]) -> EventShape:
    """The event, if it has the shape of one. Raises Refused with every fault of it."""
    try:
        return msgspec.convert(raw, EventShape)
    except msgspec.ValidationError as error:
        fault = Fault("", str(error))
    # msgspec tells the first fault only, in words of its own.
    try:
        PostedEvent.model_validate(raw)
    except ValidationError as error:
        raise Refused(*faults_of(error)) from None
    raise Refused(fault)


def identifiers_of(lead: LeadShape | None) -> tuple[Identifier, ...]:
    """All identifiers, the email first. Raises Refused without any."""
    if lead is None:
        raise _nobody()
    found: list[Identifier] = []
    if lead.email is not None:
        email = normalise_email(lead.email)
        if email is None:
            raise Refused(Fault("lead.email", "must be an email address"))
        found.append(("email", email))
    if lead.anonymous_id is not None:
        found.append(("anonymous_id", lead.anonymous_id))
    if lead.ids:
        for vendor, value in lead.ids.items():
            if vendor in _RESERVED_KINDS:
                raise Refused(Fault(f"lead.ids.{vendor}", f"belongs in lead.{vendor}"))
            found.append((vendor, value))
    if not found:
        raise _nobody()
    return tuple(found)


def _nobody() -> Refused:
    return Refused(Fault("lead", "needs at least one identifier: email, anonymous_id or ids"))


def faults_of(error: ValidationError) -> list[Fault]:
    """Field by field, what is wrong, without the values found."""
    return [Fault(path[:PATH_CHARACTERS_MAX], message) for path, message in field_errors(error)]


def _kind(type_: str) -> Kind:
    if type_ == "profile.updated":
        return "profile"
    if not type_.startswith("sales."):
        return "activity"
    if type_.removeprefix("sales.") not in ACTIONS:
        raise Refused(
            Fault("type", f"unknown sales action; allowed: {', '.join('sales.' + action for action in ACTIONS)}")
        )
    return "sales"


def _sales_data(type_: str, data: dict[str, Any]) -> dict[str, Any]:
    try:
        found = SalesData.model_validate(data).model_dump(exclude_none=True)
    except ValidationError as error:
        raise Refused(*(Fault(f"data.{path}", message) for path, message in faults_of(error))) from None
    if "until" in found:
        found["until"] = read_instant(found["until"], "data.until")
    elif type_ == f"sales.{Action.SNOOZED}":
        raise Refused(Fault("data.until", "is required for sales.snoozed"))
    return found
