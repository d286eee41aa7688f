"""Any sender of JSON: proven by Standard Webhooks, bearer, basic or an HMAC; mapped by JMESPath, or sent as plain
events (HTTP.md "Plain event") where the source has no map."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from services.ingest.model import KEY_TWICE, DuplicateKeys, Fault, Refused, check_keys
from services.ingest.schemas import FieldName
from services.ingest.vendors import standard_webhooks
from services.ingest.vendors.answers import problem, taken_or_422
from services.ingest.vendors.bodies import bad, json_of
from services.ingest.vendors.jmes import Failed, Query, query
from services.ingest.vendors.names import activity_type, fold, shown
from services.ingest.vendors.plain import split
from services.ingest.vendors.proofs import basic, bearer, digest, forged, is_any, unproven
from services.ingest.vendors.shaping import Draft, identifier, item_of, lead_of, occurred, present
from services.ingest.vendors.source_settings import IdentifierName, SourceOptions
from services.ingest.vendors.vendor import Bad, Item, Read, Refusal, Sent, SourceConfig, Standing, Vendor

KIND = "generic"
NO_TYPE = "has no Latin letter or digit, or more than 200 characters: give it a type in the source's `events`"
PLAIN_KEYS = frozenset({"type", "id", "occurred_at", "lead", "profile", "data", "source", "campaign"})

HeaderName = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", to_lower=True)
]


def _compiles(expression: str) -> str:
    query(expression)
    return expression


Expression = Annotated[str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(_compiles)]


class Auth(BaseModel):
    """The one proof that is accepted. `header`, `algorithm`, `encoding` and `prefix` are those of an HMAC over the raw
    body; `user` is basic's (without it any user goes, and the secret is the password)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    type: Literal["standard", "bearer", "basic", "hmac"]
    header: HeaderName = "x-signature"
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Annotated[str, StringConstraints(max_length=50)] = ""
    user: Annotated[str, StringConstraints(max_length=200)] | None = None


class Map(BaseModel):
    """Where a body holds what: JMESPath expressions. A constant is written in quotes: `'demo.requested'`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    type: Expression
    events: Expression | None = Field(None, description="The list of events; without it the body is one, or a list")
    id: Expression | None = None
    occurred_at: Expression | None = None
    email: Expression | None = None
    anonymous_id: Expression | None = None
    ids: dict[IdentifierName, Expression] = Field({}, max_length=20)
    profile: dict[FieldName, Expression] = Field({}, max_length=200)
    data: Expression | None = Field(None, description="An object; what is none is kept under `value`")
    campaign: Expression | None = None


class GenericOptions(SourceOptions):
    """Of a source of kind `generic`."""

    auth: Auth | None = Field(None, description="Without it Standard Webhooks, bearer and basic are accepted")
    map: Map | None = None


def verify(sent: Sent, source: SourceConfig) -> Refusal | None:
    auth = source.settings_as(GenericOptions).auth
    if auth is None:
        if standard_webhooks.is_signed(sent.headers):
            return standard_webhooks.verify(sent, source)
        return check_authorization(sent, source)
    match auth.type:
        case "standard":
            return standard_webhooks.verify(sent, source)
        case "hmac":
            return _check_hmac(sent, source, auth)
        case _:
            return check_authorization(sent, source, schemes=(auth.type,), user=auth.user)


def check_authorization(
    sent: Sent, source: SourceConfig, *, schemes: Sequence[str] = ("bearer", "basic"), user: str | None = None
) -> Refusal | None:
    """The secret as a bearer token or as basic's password."""
    header = sent.headers.get("authorization")
    what = f"The header Authorization ({' or '.join(schemes)})"
    if header is None:
        return unproven(what)
    if "bearer" in schemes and (token := bearer(header)) is not None:
        return None if is_any(token, source.secrets) else forged(what)
    if "basic" in schemes and (pair := basic(header)) is not None:
        is_user = user is None or is_any(pair[0], (user,))
        return None if is_any(pair[1], source.secrets) and is_user else forged(what)
    return forged(what)


def _check_hmac(sent: Sent, source: SourceConfig, auth: Auth) -> Refusal | None:
    given = sent.headers.get(auth.header)
    what = f"The header {auth.header}"
    if given is None:
        return unproven(what)
    value = given.strip().removeprefix(auth.prefix)
    if auth.encoding == "hex":
        value = value.lower()
    expected = [
        digest(secret.encode(), sent.body, algorithm=auth.algorithm, encoding=auth.encoding)
        for secret in source.secrets
    ]
    return None if is_any(value, expected) else forged(what)


def read(sent: Sent, source: SourceConfig) -> Read | Refusal:
    body = json_of(sent.body)
    if isinstance(body, Refusal):
        return body
    map_ = source.settings_as(GenericOptions).map
    return read_plain(body, source) if map_ is None else _read_mapped(body, source, map_)


def read_plain(body: Any, source: SourceConfig) -> Read:
    """Plain events, their types folded and mapped."""
    try:
        raw = body if isinstance(body, list) else split(body)
    except Refused as refused:
        return Read((), (Bad(0, None, refused.faults),))
    items: list[Item] = []
    faults: list[Bad] = []
    for index, event in enumerate(raw):
        name = event.get("type") if isinstance(event, dict) else None
        if not isinstance(name, str):
            path, words = ("type", "is required") if isinstance(event, dict) else ("", "must be an object")
            faults.append(bad(index, path, words))
            continue
        try:
            items.append(_plain_item(event, name, source, index))
        except Refused as refused:
            faults.append(Bad(index, None, refused.faults))
    return Read(items, faults)


def _plain_item(event: Mapping[str, Any], name: str, source: SourceConfig, index: int) -> Item:
    if isinstance(event, DuplicateKeys):
        raise Refused(Fault("", KEY_TWICE))
    settings, kind = source.settings, shown(name)
    events = settings.events
    type_ = events[name] if name in events else fold(name)
    if type_ is None:
        if name in events:
            return Item(kind, (kind,), Standing.IGNORED, why="the source ignores this kind", position=index)
        raise Refused(Fault("type", NO_TYPE))
    plain = {**event, "type": type_}
    if settings.campaign and plain.get("campaign") is None:
        plain["campaign"] = settings.campaign
    return Item(kind, (kind,), Standing.MAPPED, plain, position=index)


def _read_mapped(body: Any, source: SourceConfig, map_: Map) -> Read:
    try:
        found = query(map_.events)(body) if map_.events else body
    except Failed as failed:
        return Read((), (bad(0, "map.events", str(failed)),))
    if found is None:
        return Read((), (bad(0, "map.events", "found nothing"),))
    items: list[Item] = []
    faults: list[Bad] = []
    for index, raw in enumerate(found if isinstance(found, list) else [found]):
        try:
            items.append(_mapped(raw, source, map_, index))
        except Refused as refused:
            faults.append(Bad(index, None, refused.faults))
    return Read(items, faults)


def _mapped(raw: Any, source: SourceConfig, map_: Map, index: int) -> Item:
    check_keys(raw)
    name = _found(map_.type, raw, "map.type")
    if not isinstance(name, str) or not name.strip():
        raise Refused(Fault("map.type", "found no text"))
    data = _found(map_.data, raw, "map.data")
    campaign = _found(map_.campaign, raw, "map.campaign")
    lead = lead_of(
        email=_found(map_.email, raw, "map.email"),
        anonymous_id=_found(map_.anonymous_id, raw, "map.anonymous_id"),
        ids={key: _found(path, raw, f"map.ids.{key}") for key, path in map_.ids.items()},
    )
    draft = Draft(
        kind=name,
        type=activity_type(KIND, name),
        lead=lead,
        id=identifier(_found(map_.id, raw, "map.id")),
        occurred_at=_time(map_, raw),
        profile=present({key: _found(path, raw, f"map.profile.{key}") for key, path in map_.profile.items()}),
        data=data if isinstance(data, dict) else {} if data is None else {"value": data},
        campaign=identifier(campaign),
        incomplete=None if lead else "the map finds no identifier",
    )
    return item_of(draft, source, index)


def _time(map_: Map, raw: Any) -> datetime | None:
    return occurred(_found(map_.occurred_at, raw, "map.occurred_at"), "map.occurred_at")


def _found(expression: str | None, raw: Any, path: str) -> Any:
    if expression is None:
        return None
    find: Query = query(expression)
    try:
        return find(raw)
    except Failed as failed:
        raise Refused(Fault(path, str(failed))) from None


VENDOR = Vendor(
    kind=KIND,
    settings=GenericOptions,
    verify=verify,
    read=read,
    answer=taken_or_422,
    refuse=problem,
    methods=frozenset({"POST", "PUT"}),
)
