"""Segment: its HTTP Tracking API (`/segment/v1/*`, as the SDKs of Segment and RudderStack send it) and its webhook
destination (`/v1/hooks/…`). The write key is the source's secret, the destination's shared secret too."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from json import JSONDecoder
from typing import Any

from pydantic import Field

from services.ingest.model import KEY_TWICE, DuplicateKeys, Fault, Refused, check_keys
from services.ingest.vendors.answers import json_reply
from services.ingest.vendors.bodies import json_of, mapping, text, unreadable
from services.ingest.vendors.generic import check_authorization
from services.ingest.vendors.names import PROFILE_UPDATED, activity_type
from services.ingest.vendors.proofs import basic, digest, forged, is_any, octets, unproven
from services.ingest.vendors.shaping import Draft, identifier, lead_of, occurred, read_each
from services.ingest.vendors.source_settings import SourceOptions
from services.ingest.vendors.vendor import Read, Refusal, RefusalReason, Reply, Sent, SourceConfig, Tally, Vendor
from shared.email_address import normalise_email

KIND = "segment"
TRACKING_PREFIX = "/segment/"
CALLS = ("track", "identify", "page", "screen", "group", "alias")
BATCHES = ("batch", "import")
DELETE = "delete"
NO_IDENTITY = "no_user_anon_id"
ADDRESS = ("city", "country", "state", "postalCode", "street")
CODES = {
    RefusalReason.UNREADABLE: (400, "invalid_json"),
    RefusalReason.METHOD: (405, "method_not_allowed"),
    RefusalReason.MEDIA_TYPE: (400, "invalid_content_type"),
}

TABLE = {
    "jobTitle": "title",
    "job_title": "title",
    "firstName": "first_name",
    "lastName": "last_name",
    "companyName": "company",
    "employee_count": "employees",
    "employeeCount": "employees",
    "company_size": "employees",
    "companySize": "employees",
    "state": "region",
    "postalCode": "postal_code",
}
GROUP_TABLE = {**TABLE, "name": "company"}


class SegmentOptions(SourceOptions):
    """Of a source of kind `segment`."""

    require_authorization: bool = Field(
        False,
        description="The destination must send the secret in the header Authorization too (bearer, or basic's "
        "password): Segment signs the first event of a batch only, so that a signature says nothing of the others",
    )


def write_key(sent: Sent) -> str | None:
    """The write key of a Tracking API call: Basic's user, else the body's `writeKey`."""
    pair = basic(sent.headers.get("authorization", ""))
    if pair is not None and pair[0]:
        return pair[0]
    body = json_of(sent.body)
    return text(body.get("writeKey")) if isinstance(body, dict) else None


def verify(sent: Sent, source: SourceConfig) -> Refusal | None:
    if not sent.path.startswith(TRACKING_PREFIX):
        return _check_destination(sent, source)
    what = "The write key (as Basic user or as writeKey in the body)"
    key = write_key(sent)
    if key is None:
        return unproven(what)
    return None if is_any(key, source.secrets) else forged(what)


def _check_destination(sent: Sent, source: SourceConfig) -> Refusal | None:
    """Hex HMAC-SHA1 of one event; of a batch's first. The secret as bearer token or password is as good."""
    given = sent.headers.get("x-signature")
    must_authorize = source.settings_as(SegmentOptions).require_authorization
    if given is None and "authorization" not in sent.headers:
        return unproven("The header X-Signature")
    if (given is None or must_authorize) and (refusal := check_authorization(sent, source)) is not None:
        return refusal
    if given is None:
        return None
    messages = {sent.body, first_of(sent.body)}
    expected = [
        digest(secret.encode(), message, algorithm="sha1", encoding="hex")
        for secret in source.secrets
        for message in messages
    ]
    return None if is_any(given.strip().lower(), expected) else forged("The header X-Signature")


def first_of(body: bytes) -> bytes:
    """The bytes of a JSON array's first element; the body itself if it is no array or can't be read."""
    try:
        written = body.decode()
    except UnicodeDecodeError:
        return body
    trimmed = written.lstrip(" \t\r\n")
    if not trimmed.startswith("["):
        return body
    start = trimmed[1:].lstrip(" \t\r\n")
    try:
        _, end = JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
        return body
    return octets(start[:end])


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    body = json_of(sent.body)
    if isinstance(body, Refusal):
        return body
    call = sent.path.rstrip("/").rpartition("/")[2] if sent.path.startswith(TRACKING_PREFIX) else None
    messages: Any
    shared: dict[str, Any] = {}
    if isinstance(body, list):
        messages = body
    elif isinstance(body, dict) and ("batch" in body or call in BATCHES):
        if isinstance(body, DuplicateKeys):
            return unreadable(KEY_TWICE)
        messages, shared = body.get("batch"), mapping(body.get("context"))
        if not isinstance(messages, list):
            return unreadable("batch must be a list of events")
    elif isinstance(body, dict):
        messages = [body]
    else:
        return unreadable("must be an event, {batch: [...]} or a list of events")
    return read_each(messages, lambda raw: _drafts(raw, call, shared, may_act=source.team == "sales"), source)


def _drafts(raw: Any, call: str | None, shared: Mapping[str, Any], *, may_act: bool) -> Iterator[Draft]:
    """`may_act`: a write key lies open in web pages, so that a name alone is no sales action, unless sales sends it."""
    if not isinstance(raw, dict):
        raise Refused(Fault("", "must be an object"))
    kind = call if call in CALLS else raw.get("type")
    if kind not in (*CALLS, DELETE):
        raise Refused(Fault("type", f"must be one of {', '.join(CALLS)}"))
    check_keys(shared, "context")
    context = {**shared, **mapping(raw.get("context"))}
    lead = _lead(raw, kind, context)
    if not lead:
        raise Refused(Fault("userId", f"{NO_IDENTITY}: userId or anonymousId is required"))
    if kind == "track":
        draft = _track(raw, context, may_act=may_act)
    elif kind in ("page", "screen"):
        draft = _view(raw, kind, context)
    elif kind == DELETE:
        draft = Draft(kind=kind, is_erasure=True)
    else:
        draft = _facts(raw, kind, context)
    yield replace(
        draft,
        lead=lead,
        id=identifier(raw.get("messageId")),
        occurred_at=occurred(raw.get("timestamp") or raw.get("originalTimestamp"), "timestamp"),
        campaign=text(mapping(context.get("campaign")).get("name")),
    )


def _lead(raw: Mapping[str, Any], kind: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """The email from wherever Segment's spec allows one; a user id that is an address counts as one too."""
    user = identifier(raw.get("userId"))
    anonymous = identifier(raw.get("anonymousId"))
    previous = identifier(raw.get("previousId")) if kind == "alias" else None
    parts = [context.get("traits"), raw.get("properties")]
    if kind != "group":
        parts.insert(0, raw.get("traits"))
    candidates = [mapping(part).get("email") for part in parts] + [user, previous]
    email = next((value for value in candidates if _is_address(value)), None)
    return lead_of(email=email, anonymous_id=anonymous or previous, ids={"user_id": user})


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 320 and normalise_email(value) is not None


def _track(raw: Mapping[str, Any], context: Mapping[str, Any], *, may_act: bool) -> Draft:
    name = text(raw.get("event"))
    if name is None:
        raise Refused(Fault("event", "is required"))
    data = dict(mapping(raw.get("properties")))
    type_ = activity_type(KIND, name, may_act=may_act)
    if type_ is None:
        data["event"] = name
    traits = _traits(context.get("traits"))
    return Draft(kind="track", names=(name,), type=type_, data=data, profile=traits, table=TABLE)


def _view(raw: Mapping[str, Any], kind: str, context: Mapping[str, Any]) -> Draft:
    """A page or a screen; what the properties lack comes from `context.page`."""
    name = text(raw.get("name"))
    page = mapping(context.get("page")) if kind == "page" else {}
    named = {key: raw[key] for key in ("name", "category") if text(raw.get(key))}
    data = {**page, **named, **mapping(raw.get("properties"))}
    names = (f"{kind}/{name}",) if name else ()
    return Draft(
        kind=kind,
        names=names,
        type=f"{kind}.viewed",
        data=data,
        profile=_traits(context.get("traits")),
        table=TABLE,
    )


def _facts(raw: Mapping[str, Any], kind: str, context: Mapping[str, Any]) -> Draft:
    """identify, group and alias: what is known of somebody, and under which names. RudderStack's SDKs put the traits
    of an identify into the context."""
    table = GROUP_TABLE if kind == "group" else TABLE
    around = {} if kind == "group" else _traits(context.get("traits"))
    return Draft(kind=kind, type=PROFILE_UPDATED, profile={**around, **_traits(raw.get("traits"))}, table=table)


def _traits(given: Any) -> dict[str, Any]:
    """Traits in one level: what Segment's spec nests under `company` and `address` stands beside the others."""
    traits = {name: value for name, value in mapping(given).items() if name not in ("email", "company", "address")}
    company = mapping(given).get("company")
    if isinstance(company, dict):
        for name in ("name", "industry", "employee_count", "employees", "website"):
            if company.get(name) is not None:
                traits["company" if name == "name" else name] = company[name]
    elif company is not None:
        traits["company"] = company
    address = mapping(given).get("address")
    if isinstance(address, dict):
        traits |= {name: address[name] for name in ADDRESS if address.get(name) is not None and name not in traits}
    return traits


def answer(tally: Tally, sent: Sent) -> Reply:
    """Exactly what SDKs look for; 400 (dropped, not retried) if nothing of it could be used."""
    if not tally.is_hopeless:
        return json_reply(200, {"success": True})
    path, message = tally.bad[0].faults[0]
    code = NO_IDENTITY if message.startswith(NO_IDENTITY) else "invalid_event"
    return error(400, code, f"{path}: {message}" if path else message)


def error(status: int, code: str, message: str) -> Reply:
    """An error that the SDKs of Segment and RudderStack can read; any other body makes one of them try for ever."""
    return json_reply(status, {"code": code, "message": message})


def refuse(refusal: Refusal, sent: Sent) -> Reply:
    status, code = CODES.get(refusal.reason, (401, "invalid_write_key"))
    return error(status, code, refusal.message)


VENDOR = Vendor(
    kind=KIND,
    settings=SegmentOptions,
    verify=verify,
    read=read,
    answer=answer,
    refuse=refuse,
    methods=frozenset({"POST", "PUT", "PATCH"}),
)
