"""CloudEvents 1.0 as a source of its own: all three modes, and the OPTIONS handshake of its webhook specification. The
callback address that a handshake may name is never called."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from services.ingest.model import Fault, Refused, check_keys, read_json
from services.ingest.vendors.answers import problem, taken_or_422
from services.ingest.vendors.bodies import json_of, mapping, text, unreadable
from services.ingest.vendors.cloudevents import decoded
from services.ingest.vendors.generic import PLAIN_KEYS, Expression
from services.ingest.vendors.jmes import Failed, query
from services.ingest.vendors.names import activity_type
from services.ingest.vendors.proofs import bearer, forged, is_any, unproven
from services.ingest.vendors.shaping import Draft, identifier, lead_of, occurred, read_each, sender_id
from services.ingest.vendors.source_settings import IdentifierName, SourceOptions
from services.ingest.vendors.vendor import Read, Refusal, RefusalReason, Reply, Sent, SourceConfig, Vendor

KIND: Final = "cloudevents"
ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,100}")
REQUIRED: Final = ("specversion", "id", "source", "type")

_JSON: Final = re.compile(r"[^/]+/([^;+]+\+)?json", re.IGNORECASE)


class LeadMap(BaseModel):
    """Where `data` says who it is about: JMESPath expressions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    email: Expression | None = None
    anonymous_id: Expression | None = None
    ids: dict[IdentifierName, Expression] = Field({}, max_length=20)


class CloudEventsOptions(SourceOptions):
    """Of a source of kind `cloudevents`."""

    lead: LeadMap = Field(LeadMap(email="email"), description="Who it is about, beside `subject` and `data.lead`")


def handshake(sent: Sent, source: SourceConfig) -> Reply | None:
    """Consent to whoever asks: a delivery must prove itself all the same."""
    if sent.method != "OPTIONS":
        return None
    headers = {"Allow": "POST"}
    if origin := sent.headers.get("webhook-request-origin"):
        headers["WebHook-Allowed-Origin"] = origin
        headers["WebHook-Allowed-Rate"] = "*"
    return Reply(200, headers=headers)


def verify(sent: Sent, source: SourceConfig) -> Refusal | None:
    """A bearer token, in the header or as `access_token` in the address."""
    what = "The bearer token (header Authorization, or query parameter access_token)"
    token = sent.query.get("access_token")
    if "authorization" in sent.headers:
        token = bearer(sent.headers["authorization"]) or ""
    if token is None:
        return unproven(what)
    return None if is_any(token, source.secrets) else forged(what)


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    """By the content type, as the HTTP binding says: batch first, then structured, else binary."""
    media_type = sent.headers.get("content-type", "").strip().lower()
    if not media_type.startswith("application/cloudevents"):
        return _read_binary(sent, source)
    form = media_type.partition(";")[0].strip()
    if form not in ("application/cloudevents+json", "application/cloudevents-batch+json"):
        return Refusal(RefusalReason.MEDIA_TYPE, "Of CloudEvents' formats JSON is understood.")
    body: Any = json_of(sent.body)
    if isinstance(body, Refusal):
        return body
    if form.startswith("application/cloudevents-batch"):
        if not isinstance(body, list):
            return unreadable("must be a list of CloudEvents")
    else:
        body = [body]
    return read_each(body, lambda raw: _structured(raw, source), source)


def _read_binary(sent: Sent, source: SourceConfig) -> Read | Refusal:
    if "ce-specversion" not in sent.headers:
        return unreadable("neither a CloudEvents content type nor the header ce-specversion")
    return read_each([sent], lambda request: _binary(request, source), source)


def _binary(sent: Sent, source: SourceConfig) -> Iterator[Draft]:
    attributes: dict[str, Any] = {
        name[3:]: decoded(value, name)
        for name, value in sent.headers.items()
        if name.startswith("ce-") and ATTRIBUTE.fullmatch(name[3:])
    }
    media_type = sent.headers.get("content-type", "application/json")
    yield _draft(attributes, _content(sent.body, media_type), source)


def _structured(raw: Any, source: SourceConfig) -> Iterator[Draft]:
    if not isinstance(raw, dict):
        raise Refused(Fault("", "must be an object"))
    event = {name: value for name, value in raw.items() if value is not None}
    if "data" in event and "data_base64" in event:
        raise Refused(Fault("data_base64", "is not allowed beside data"))
    data = event.get("data")
    if "data_base64" in event:
        try:
            content = base64.b64decode(event["data_base64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise Refused(Fault("data_base64", "must be base64")) from None
        data = _content(content, text(event.get("datacontenttype")) or "application/json")
    yield _draft(event, data, source)


def _content(content: bytes, media_type: str) -> Any:
    """JSON as its value, text as text, anything else in base64."""
    if not content:
        return None
    try:
        if _JSON.fullmatch(media_type.partition(";")[0].strip()):
            return read_json(content.decode("utf-8-sig"))
        return content.decode() if media_type.startswith("text/") else _in_base64(content)
    except UnicodeDecodeError:
        return _in_base64(content)
    except ValueError:
        raise Refused(Fault("data", "is not the JSON that its content type promises")) from None


def _in_base64(content: bytes) -> dict[str, str]:
    return {"data_base64": base64.b64encode(content).decode()}


def _draft(event: Mapping[str, Any], data: Any, source: SourceConfig) -> Draft:
    check_keys(data, "data")  # that of a binary event, or what lay in base64
    missing = [name for name in REQUIRED if text(event.get(name)) is None]
    if missing:
        raise Refused(*(Fault(name, "is required, as text") for name in missing))
    if event["specversion"] != "1.0":
        raise Refused(Fault("specversion", "must be 1.0"))
    own = data if isinstance(data, dict) else {} if data is None else {"value": data}
    # As on /v1/events: data that has the parts of a plain event is the rest of one.
    is_plain = bool(own.keys() & {"lead", "profile", "data"}) and own.keys() <= PLAIN_KEYS
    given = mapping(own.get("lead")) if is_plain else {}
    lead = _lead(given, text(event.get("subject")), own, source)
    return Draft(
        kind=event["type"],
        names=(f"{event['type']}/{event['source']}",),
        type=activity_type(KIND, event["type"]),
        lead=lead,
        id=sender_id(event["source"], event["id"]),
        occurred_at=occurred(event.get("time"), "time"),
        profile=mapping(own.get("profile")) if is_plain else {},
        data=mapping(own.get("data")) if is_plain else own,
        campaign=identifier(own.get("campaign")) if is_plain else None,
        incomplete=None if lead else "names nobody: `lead` of the settings says where data does",
    )


def _lead(given: Mapping[str, Any], subject: str | None, data: Any, source: SourceConfig) -> dict[str, Any]:
    map_ = source.settings_as(CloudEventsOptions).lead
    email = given.get("email") or (subject if subject and "@" in subject else None) or _found(map_.email, data)
    ids = {name: _found(path, data) for name, path in map_.ids.items()} | mapping(given.get("ids"))
    return lead_of(email=email, anonymous_id=given.get("anonymous_id") or _found(map_.anonymous_id, data), ids=ids)


def _found(expression: str | None, data: Any) -> Any:
    try:
        return query(expression)(data) if expression else None
    except Failed:
        return None


VENDOR = Vendor(
    kind=KIND,
    settings=CloudEventsOptions,
    verify=verify,
    read=read,
    answer=taken_or_422,
    refuse=problem,
    handshake=handshake,
    methods=frozenset({"OPTIONS", "POST"}),
)
