"""CloudEvents 1.0 over HTTP: structured, batched and binary mode (HTTP.md "Ingest").

`type` is the event's type, `subject` may carry the email, `time` is when it occurred, `data` the rest of a plain event;
data that names none of `lead`, `profile` and `data` is the activity's own data.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from msgspec.structs import replace
from pydantic import ValidationError

from services.ingest.model import Fault, Posted, Refused, check_value, event_id, read_instant, read_json
from services.ingest.schemas import CloudEvent
from services.ingest.vendors.plain import Reading, faults_of, read_event

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
ATTRIBUTES = ("specversion", "id", "source", "type", "subject", "time")
_PARTS = ("lead", "profile", "data")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def from_headers(headers: Mapping[str, str], data: Any) -> dict[str, Any]:
    """The structured form of an event in binary mode. Raises Refused."""
    names = [name for name in ATTRIBUTES if f"ce-{name}" in headers]
    event: dict[str, Any] = {name: decoded(headers[f"ce-{name}"], f"ce-{name}") for name in names}
    event["data"] = data
    return event


def decoded(value: str, name: str) -> str:
    """A header's value: unquoted if it is quoted, then percent-decoded once. Raises Refused for what is no UTF-8."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value).decode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise Refused(Fault(name, "must be percent-encoded UTF-8")) from None


def _opened(raw: dict[str, Any]) -> dict[str, Any]:
    """The event with the JSON of its `data_base64` as its data. Raises Refused."""
    if raw.get("data_base64") is None:
        return raw
    if raw.get("data") is not None:
        raise Refused(Fault("data_base64", "is not allowed beside data"))
    try:
        data = read_json(b64decode(raw["data_base64"], validate=True).decode("utf-8-sig"))
    except (TypeError, ValueError):
        raise Refused(Fault("data_base64", "must be JSON in base64")) from None
    return {**raw, "data": data}


def read_cloud_event(raw: Any, reading: Reading) -> Posted:
    """One CloudEvent as it is accepted. Raises Refused with every fault of its shape."""
    if not isinstance(raw, dict):
        raise Refused(Fault("", "must be an object"))
    raw = _opened(raw)
    check_value(raw, "", check_text=True)
    try:
        event = CloudEvent.model_validate(raw)
    except ValidationError as error:
        raise Refused(*faults_of(error)) from None
    data = event.data or {}
    plain: dict[str, Any] = dict(data) if any(part in data for part in _PARTS) else {"data": data}
    plain["id"], plain["type"] = event.id, event.type
    plain.setdefault("source", event.source)
    if event.time is not None:
        read_instant(event.time, "time")
        plain["occurred_at"] = event.time
    lead = plain.get("lead")
    if event.subject and "@" in event.subject and (lead is None or (isinstance(lead, dict) and "email" not in lead)):
        plain["lead"] = {**(lead or {}), "email": event.subject}
    posted = read_event(plain, reading)
    if posted.source == event.source:
        return posted
    # An id is unique within the event's own source, whatever source the key or the data say.
    return replace(posted, id=event_id(posted.source, f"{event.source} {event.id}", plain, reading.received_at))
