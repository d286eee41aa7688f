"""What a posted event means: its identity, its times, its lead. Pure; knows nothing of HTTP or tables."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import inf, isfinite
from typing import Any, Literal, NamedTuple
from uuid import UUID

from msgspec import Struct

from shared.events.envelope import named_id
from shared.rfc3339 import parse_instant

NESTING_LEVELS_MAX = 64
READ_LEVELS_MAX = 2 * NESTING_LEVELS_MAX  # room for an event too deep to be accepted, within a batch
WHOLE_NUMBER_DIGITS_MAX = 4_300
EVENTS_NAMESPACE = UUID("6f0c4a3e-3c1b-5b5e-9d1c-acc0ad000001")
KEY_TWICE = "has a key twice"
PATH_CHARACTERS_MAX = 200  # of a fault: keys are the sender's
FIRST_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)

Identifier = tuple[str, str]  # (kind, value); kind is "email", "anonymous_id" or a vendor's name
Kind = Literal["activity", "profile", "sales"]

# A text without its end reaches to the end, so that the search is linear. Brackets come in runs.
_STRINGS_AND_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]+|[\]}]+', re.DOTALL)


class Fault(NamedTuple):
    """What is wrong with a posted event: where, and what is allowed."""

    path: str
    message: str


class Refused(Exception):
    """A posted event can't be accepted."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.path}: {fault.message}" for fault in faults))
        self.faults = faults


class Oversized(Refused):
    """A posted event is larger than allowed."""


class Posted(Struct, frozen=True):
    """One event that is fit to be accepted. `identifiers` has at least one; an email, if there is one, stands first."""

    id: UUID
    kind: Kind
    type: str
    occurred_at: datetime
    received_at: datetime
    identifiers: tuple[Identifier, ...]
    profile: Mapping[str, Any]
    data: Mapping[str, Any]
    source: str
    team: str
    campaign: str | None
    historical: bool = False

    @property
    def email(self) -> str | None:
        kind, value = self.identifiers[0]
        return value if kind == "email" else None


class Receipt(NamedTuple):
    """A request of which something could not be used: kept, and listed with its reason. `sent` is the request, sealed;
    `sent_bytes` the size of its body. `items` say per item what became of it and why, without what was found there."""

    id: UUID
    source_id: UUID
    received_at: datetime
    standing: str
    kind: str | None
    reason: str
    items: Sequence[Mapping[str, Any]]
    sent: str | None
    sent_bytes: int


class DuplicateKeys(dict[str, Any]):
    """A JSON object that names a key twice, so that nobody can say which value was meant."""


def read_json(text: str) -> Any:
    """Parses JSON so that what can't be kept spoils its own event only: a number beyond a double (NaN too) is read as
    one, an object with duplicate keys is marked, and what lies far too deep is cut. Raises ValueError."""
    try:
        return _loads(text)
    except RecursionError:
        return _loads(_shallow(text, READ_LEVELS_MAX))
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        return _loads(text, parse_int=_whole_number)


def _loads(text: str, *, parse_int: Callable[[str], float] | None = None) -> Any:
    # json.loads would make a decoder for each text.
    decoder = _DECODER if parse_int is None else _decoder(parse_int)
    if text.startswith("\ufeff"):
        raise json.JSONDecodeError("a byte order mark", text, 0)
    if text.startswith(("{", "[")):
        # `decode` looks for the blanks around it with a pattern, which takes half as long as reading an event.
        text = text.rstrip(_BLANKS)
        value, end = decoder.raw_decode(text)
        if end == len(text):
            return value
    return decoder.decode(text)


def _decoder(parse_int: Callable[[str], float] | None) -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_object, parse_constant=float, parse_int=parse_int)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    return value if len(value) == len(pairs) else DuplicateKeys(value)


_DECODER = _decoder(None)
_BLANKS = " \t\r\n"  # JSON's own; others are none


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= WHOLE_NUMBER_DIGITS_MAX else inf


def _shallow(text: str, levels_max: int) -> str:
    """The text with a 0 for whatever lies deeper."""
    kept: list[str] = []
    level, start = 0, 0
    for token in _STRINGS_AND_BRACKETS.finditer(text):
        run = token[0]
        if run[0] == '"':
            continue
        before, level = level, level + (len(run) if run[0] in "[{" else -len(run))
        if before <= levels_max < level:
            kept.append(text[start : token.start() + levels_max - before] + "0")
        elif level <= levels_max < before:
            start = token.end() - (levels_max - level)
    return "".join(kept) + (text[start:] if level <= levels_max else "")


def check_keys(value: Any, path: str = "") -> None:
    """Raises Refused for an object, however deep within this value, that names a key twice."""
    if type(value) is DuplicateKeys:
        raise Refused(Fault(path, KEY_TWICE))
    if isinstance(value, list | dict):
        for key, item in enumerate(value) if isinstance(value, list) else value.items():
            if isinstance(item, list | dict):
                check_keys(item, f"{path}.{key}"[:PATH_CHARACTERS_MAX])


def check_value(value: Any, path: str, *, check_text: bool, levels: int = NESTING_LEVELS_MAX) -> None:
    """Raises Refused for what JSON can write but the log can't keep: too many levels, a key twice, a number beyond a
    double, and, where `check_text`, NUL characters and lone surrogates."""
    if not check_text and type(value) is dict and _is_ordinary(value.values(), levels):
        return
    kind = type(value)
    if kind is str:
        if check_text:
            _check_text(value, path)
    elif kind is float:
        if not isfinite(value):
            raise Refused(Fault(path, "must be a number within the range of a double"))
    elif kind is list or isinstance(value, dict):
        if levels == 0:
            raise Refused(Fault(path, f"nested deeper than {NESTING_LEVELS_MAX} levels"))
        if kind is DuplicateKeys:
            raise Refused(Fault(path, KEY_TWICE))
        if check_text and kind is not list:
            for key in value:
                _check_text(key, path)
        for key, item in enumerate(value) if kind is list else value.items():
            # Text and whole numbers are most of what there is, and mostly need no look.
            if type(item) is int or (type(item) is str and not check_text):
                continue
            check_value(item, f"{path}.{key}"[:PATH_CHARACTERS_MAX], check_text=check_text, levels=levels - 1)


def _is_ordinary(values: Iterable[Any], levels: int) -> bool:
    """Whether the log can keep these, their text aside: most can, and then nobody asks for a path."""
    for value in values:
        kind = type(value)
        if kind is str or kind is int or kind is bool or value is None:
            continue
        if kind is dict:
            inner = value.values()
        elif kind is list:
            inner = value
        elif kind is float and isfinite(value):
            continue
        else:
            return False
        if levels <= 1 or not _is_ordinary(inner, levels - 1):
            return False
    return True


def _check_text(text: str, path: str) -> None:
    if "\x00" in text:
        raise Refused(Fault(path, "has a NUL character"))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(Fault(path, "has a lone surrogate, which is not a character")) from None


def read_instant(value: str, path: str) -> datetime:
    """An RFC 3339 time with its offset, as UTC; not before 2000-01-01."""
    try:
        instant = parse_instant(value)
    except ValueError as error:
        raise Refused(Fault(path, str(error))) from None
    if instant < FIRST_INSTANT:
        raise Refused(Fault(path, "must not be before 2000-01-01"))
    return instant


@lru_cache(maxsize=10_000)
def source_namespace(source: str) -> UUID:
    return named_id(EVENTS_NAMESPACE, source)


def event_id(source: str, sender_id: str | None, content: Mapping[str, Any], received_at: datetime) -> UUID:
    """uuid5(source, sender's id); without one uuid5(source, canonical content), where content without `occurred_at`
    includes the minute it was received in (DESIGN.md "Identity of an event")."""
    if sender_id is not None:
        return named_id(source_namespace(source), sender_id)
    canonical = {name: value for name, value in content.items() if value is not None}
    if "occurred_at" not in canonical:
        canonical["received_minute"] = received_at.strftime("%Y-%m-%dT%H:%M")
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return named_id(source_namespace(source), "\x1f" + text)


class Known(NamedTuple):
    """What is on file of one identifier: its lead, and whether that lead has an email."""

    lead_id: UUID
    is_tied: bool


class Resolution(NamedTuple):
    """Who the leads of some posted events are, and what must be written so that it stays so.

    `leads` has one lead per posted event; `fresh` the leads not known before; `tied` those that were seen without an
    email first and have one now.
    """

    leads: Sequence[UUID]
    fresh: frozenset[UUID]
    tied: frozenset[UUID]
    identities: Mapping[Identifier, UUID]


def resolve(posted: Iterable[Posted], known: Mapping[Identifier, Known], new_ids: Iterable[UUID]) -> Resolution:
    """The email decides; without one, the first identifier that is known; a known lead without an email takes the
    email it is posted with; else the lead is new. What is posted together with an email goes to that email's lead
    from now on."""
    ids = iter(new_ids)
    seen = dict(known)
    leads: list[UUID] = []
    fresh: set[UUID] = set()
    tied: set[UUID] = set()
    written: dict[Identifier, UUID] = {}
    for event in posted:
        has_email = event.email is not None
        lead_id = _lead_of(event.identifiers, seen)
        if lead_id is None:
            lead_id = next(ids)
            fresh.add(lead_id)
        for identifier in event.identifiers:
            before = seen.get(identifier)
            if before is None or (has_email and before.lead_id.int != lead_id.int):  # to compare UUIDs is Python
                written[identifier] = lead_id
                seen[identifier] = Known(lead_id, has_email)
            elif has_email and not before.is_tied:
                seen[identifier] = Known(lead_id, True)
                tied.add(lead_id)
        leads.append(lead_id)
    return Resolution(leads, frozenset(fresh), frozenset(tied), written)


def _lead_of(identifiers: Sequence[Identifier], seen: Mapping[Identifier, Known]) -> UUID | None:
    first = seen.get(identifiers[0])
    if first is not None:
        return first.lead_id
    has_email = identifiers[0][0] == "email"
    for identifier in identifiers[1:]:
        found = seen.get(identifier)
        if found is not None and not (has_email and found.is_tied):
            return found.lead_id
    return None
