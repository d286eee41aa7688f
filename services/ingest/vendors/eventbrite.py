"""Eventbrite: an action and the address of what it is about. That address is read for the ids in it, and never fetched.
It can't sign: the secret stands in the address of the webhook."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from services.ingest.model import Fault, Refused
from services.ingest.vendors.answers import problem, taken
from services.ingest.vendors.bodies import mapping, object_of, text
from services.ingest.vendors.proofs import check_token
from services.ingest.vendors.shaping import Draft, lead_of, read_each, sender_id
from services.ingest.vendors.source_settings import SourceOptions
from services.ingest.vendors.vendor import Read, Refusal, Sent, SourceConfig, Vendor

KIND = "eventbrite"
HOST = "www.eventbriteapi.com"
TYPES = {
    "attendee.checked_in": "event.attended",
    "barcode.checked_in": "event.attended",
}
ABOUT_NOBODY = ("event", "venue", "organizer", "ticket_class")
WHERE = {"events": "event_id", "attendees": "attendee_id", "orders": "order_id"}

_PAIRS = re.compile(r"/(events|attendees|orders)/(\d{1,30})", re.ASCII)


class EventbriteOptions(SourceOptions):
    """Of a source of kind `eventbrite`."""


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    body = object_of(sent.body)
    return body if isinstance(body, Refusal) else read_each([body], lambda raw: [_draft(raw)], source)


def _draft(body: Mapping[str, Any]) -> Draft:
    kind = text(mapping(body.get("config")).get("action"))
    if kind is None:
        raise Refused(Fault("config.action", "is required"))
    if kind == "test":
        return Draft(kind=kind, ignored="a test call")
    ids = _ids(body.get("api_url"))
    names = (f"{kind}/{ids['event_id']}",) if "event_id" in ids else ()
    if kind.partition(".")[0] in ABOUT_NOBODY:
        return Draft(kind=kind, names=names, ignored="about no attendee")
    return Draft(
        kind=kind,
        names=names,
        type=TYPES.get(kind),
        lead=lead_of(ids={KIND: ids.get("attendee_id")}),
        id=sender_id(TYPES[kind], *ids.values()) if kind in TYPES and ids else None,
        data=ids,
        incomplete="ids only: who it is stays in Eventbrite",
    )


def _ids(address: Any) -> dict[str, str]:
    """The ids in an address of Eventbrite's API; of any other address none."""
    if not isinstance(address, str):
        return {}
    try:
        parts = urlsplit(address)
        is_theirs = parts.scheme == "https" and parts.hostname == HOST
    except ValueError:
        return {}
    return {WHERE[kind]: id for kind, id in _PAIRS.findall(parts.path)} if is_theirs else {}


VENDOR = Vendor(
    kind=KIND,
    settings=EventbriteOptions,
    verify=check_token,
    read=read,
    answer=taken,
    refuse=problem,
    secret_in_url=True,
)
