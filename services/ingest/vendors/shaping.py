"""From a sender's words to a plain event: the source's own mapping first, the vendor's table second, folding last."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from services.ingest.model import Fault, Refused, check_keys
from services.ingest.schemas import FIELD_NAME_CHARACTERS_MAX, PROFILE_FIELDS_MAX
from services.ingest.vendors.names import PLAIN_FIELDS, PROFILE_UPDATED, kind_type, shown
from services.ingest.vendors.source_settings import SourceOptions
from services.ingest.vendors.vendor import Bad, Item, Read, SourceConfig, Standing
from shared.email_address import normalise_email
from shared.events.sales import AMOUNT_MAX
from shared.rfc3339 import parse_instant

ID_CHARACTERS_MAX = 200
IDENTIFIER_CHARACTERS_MAX = 200
MILLISECONDS_FROM = 100_000_000_000  # as seconds this would be the year 5138
CURRENCY = re.compile(r"[A-Z]{3}")
NOTE_CHARACTERS_MAX = 10_000

_LOOSE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?\s*([Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_WHOLE = re.compile(r"\d{1,12}", re.ASCII)
TIME_FORM = "must be a time: RFC 3339, or seconds or milliseconds since 1970"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An item in the vendor's words. `type` is the vendor's table's; None: this kind has none of its own.

    `profile` has the vendor's own field names, of which `table` knows the plain ones. What is `ignored` the source may
    map all the same, if it says who it is about."""

    kind: str
    names: tuple[str, ...] = ()
    type: str | None = None
    lead: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    occurred_at: datetime | None = None
    profile: Mapping[str, Any] = field(default_factory=dict)
    table: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    campaign: str | None = None
    incomplete: str | None = None
    ignored: str | None = None
    needs_known_lead: bool = False
    is_erasure: bool = False


Make = Callable[[Any], Iterable[Draft]]


def read_each(raw: Iterable[Any], make: Make, source: SourceConfig) -> Read:
    """Reads each of a body's items on its own; one that `make` refuses spoils no other."""
    items: list[Item] = []
    bad: list[Bad] = []
    for position, value in enumerate(raw):
        try:
            check_keys(value)
            items += [item_of(draft, source, position) for draft in make(value)]
        except Refused as refused:
            bad.append(Bad(position, None, refused.faults))
    return Read(items, bad)


def item_of(draft: Draft, source: SourceConfig, position: int = 0) -> Item:
    """The item that the source's settings make of a draft."""
    settings = source.settings
    words = tuple(dict.fromkeys((*draft.names, draft.kind)))
    kind, names = shown(draft.kind), tuple(shown(name) for name in words)
    if draft.is_erasure:
        return Item(kind, names, Standing.ERASURE, erase=_renamed(draft.lead, settings), position=position)
    mapped = next((name for name in words if name in settings.events), None)
    type_ = draft.type if mapped is None else settings.events[mapped]
    if mapped is not None and type_ is None:
        return Item(kind, names, Standing.IGNORED, why="the source ignores this kind", position=position)
    if draft.ignored is not None and (mapped is None or not draft.lead):
        return Item(kind, names, Standing.IGNORED, why=draft.ignored, position=position)
    standing = Standing.MAPPED if type_ is not None else Standing.UNMAPPED
    if draft.incomplete is not None:
        standing = Standing.INCOMPLETE
    has_lead = bool(draft.lead) or draft.incomplete is None
    profile = profile_of(draft.profile, draft.table, settings)
    return Item(
        kind=kind,
        names=names,
        standing=standing,
        event=_event(draft, type_ or kind_type(source.kind, draft.kind), profile, settings) if has_lead else None,
        why=draft.incomplete or _left_out(profile),
        needs_known_lead=draft.needs_known_lead,
        position=position,
    )


def _event(draft: Draft, type_: str, profile: Mapping[str, Any], settings: SourceOptions) -> dict[str, Any]:
    event: dict[str, Any] = {"type": type_, "lead": _renamed(draft.lead, settings)}
    if draft.id is not None:
        event["id"] = draft.id
    if draft.occurred_at is not None:
        event["occurred_at"] = text_of(draft.occurred_at)
    if profile:
        event["profile"] = dict(islice(profile.items(), PROFILE_FIELDS_MAX))
    if draft.data and type_ != PROFILE_UPDATED:
        event["data"] = sales_data(draft.data) if type_.startswith("sales.") else dict(draft.data)
    if campaign := _campaign(draft.campaign, settings):
        event["campaign"] = campaign
    return event


def _renamed(lead: Mapping[str, Any], settings: SourceOptions) -> dict[str, Any]:
    if not settings.ids or "ids" not in lead:
        return dict(lead)
    return {**lead, "ids": {settings.ids.get(name, name): value for name, value in lead["ids"].items()}}


def _campaign(given: str | None, settings: SourceOptions) -> str | None:
    named = given.strip()[:IDENTIFIER_CHARACTERS_MAX] if given else None
    return settings.campaigns.get(named, named) if named else settings.campaign


def lead_of(*, email: Any = None, anonymous_id: Any = None, ids: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Who it is about. What can't be an identifier (no address, empty, an object) is left out: others may do."""
    lead: dict[str, Any] = {}
    if isinstance(email, str) and len(email) <= 320 and normalise_email(email) is not None:
        lead["email"] = email.strip()
    if (anonymous := identifier(anonymous_id)) is not None:
        lead["anonymous_id"] = anonymous
    found = {name: value for name, given in (ids or {}).items() if (value := identifier(given)) is not None}
    if found:
        lead["ids"] = found
    return lead


def identifier(value: Any) -> str | None:
    """An id as text: vendors send them as numbers too, and what went through a data frame has 12.0 for 12."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip() if isinstance(value, str) or abs(value) < 10**30 else ""
    return text if 0 < len(text) <= IDENTIFIER_CHARACTERS_MAX else None


def profile_of(fields: Mapping[str, Any], table: Mapping[str, str], settings: SourceOptions) -> dict[str, Any]:
    """The fields under their plain names: the source's mapping, else the vendor's table, else their own. Empty text is
    no value, null removes the field; `employees` is a number wherever it can be read as one. What the source maps and
    plain names stand first, since a profile holds only so many; a name that none can have is left out."""
    known: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in fields.items():
        is_mapped = name in settings.profile
        target = settings.profile[name] if is_mapped else table.get(name, name)
        if not target or len(target) > FIELD_NAME_CHARACTERS_MAX or (isinstance(value, str) and not value.strip()):
            continue
        profile = known if is_mapped or target in PLAIN_FIELDS else others
        profile[target] = whole_number(value) if target == "employees" else value
    for name, value in others.items():
        known.setdefault(name, value)
    return known


def _left_out(profile: Mapping[str, Any]) -> str | None:
    """Of records whose fields nobody chose: a CRM may send every one it has."""
    more = len(profile) - PROFILE_FIELDS_MAX
    return f"{more} fields are left out: a profile has {PROFILE_FIELDS_MAX}, mapped ones first" if more > 0 else None


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that have a value: for senders whose null says nothing."""
    return {name: value for name, value in fields.items() if value is not None}


def whole_number(value: Any) -> Any:
    """A count of people as a number; a range or anything else stays as it was sent."""
    text = value.replace(",", "").strip() if isinstance(value, str) else ""
    return int(text) if _WHOLE.fullmatch(text) else value


def sales_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of a sender's data fits a sales action; the rest is left out rather than the action refused."""
    found: dict[str, Any] = {}
    for name in ("reason", "channel", "owner", "actor"):
        if (value := identifier(data.get(name))) is not None:
            found[name] = value
    if isinstance(data.get("note"), str):
        found["note"] = data["note"][:NOTE_CHARACTERS_MAX]
    if (amount := amount_of(data.get("amount"))) is not None:
        found["amount"] = amount
    if isinstance(data.get("currency"), str) and CURRENCY.fullmatch(data["currency"].strip().upper()):
        found["currency"] = data["currency"].strip().upper()
    if (until := moment(data.get("until"))) is not None:
        found["until"] = text_of(until)
    return found


def amount_of(value: Any) -> float | None:
    """Money as a number from zero to AMOUNT_MAX; CRMs write it as text too."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return amount if 0 <= amount <= AMOUNT_MAX else None


def occurred(value: Any, path: str) -> datetime | None:
    """When it happened; None without a value. Raises Refused for what is no time."""
    if value is None or value == "":
        return None
    if (found := moment(value)) is None:
        raise Refused(Fault(path, TIME_FORM))
    return found


def moment(value: Any) -> datetime | None:
    """A time as senders write it, as UTC: RFC 3339, without an offset (then UTC), a bare date, or seconds or
    milliseconds since 1970. None if it is none of these."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _since_1970(float(value)) if abs(value) < 10**15 else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    try:
        return parse_instant(text)
    except ValueError:
        return _since_1970(float(text)) if re.fullmatch(r"\d{9,14}", text, re.ASCII) else _loose(text)


def _since_1970(value: float) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            seconds=value / 1000 if abs(value) >= MILLISECONDS_FROM else value
        )
    except (OverflowError, ValueError):
        return None


def _loose(text: str) -> datetime | None:
    match = _LOOSE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    zone = "+00:00" if not offset or offset in "zZ" else f"{offset[:3]}:{offset[-2:]}"
    clock = f"{int(hour or 0):02}:{minute or '00'}:{second or '00'}.{(fraction or '0')[:6].ljust(6, '0')}"
    try:
        return datetime.fromisoformat(f"{year}-{int(month):02}-{int(day):02}T{clock}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def text_of(instant: datetime) -> str:
    """RFC 3339 in UTC."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def fingerprint(value: Any) -> str:
    """A value that makes an id and may be personal, or long."""
    return hashlib.sha256(str(value).encode("utf-8", "surrogatepass")).hexdigest()[:32] if value != "" else ""


def sender_id(*parts: Any) -> str:
    """One id of an event from what makes it the same when it is sent again; hashed when it would be too long."""
    text = "/".join(str(part).replace("%", "%25").replace("/", "%2F") for part in parts)
    if len(text) <= ID_CHARACTERS_MAX and text.isprintable():
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
