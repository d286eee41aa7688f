"""What a posted event means: its identity, its times, its lead. Pure; knows nothing of HTTP or tables."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from uuid import UUID

from msgspec import Struct

from shared.events.envelope import named_id
from shared.rfc3339 import parse_instant

EVENTS_NAMESPACE = UUID("6f0c4a3e-3c1b-5b5e-9d1c-acc0ad000001")
FIRST_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)

Identifier = tuple[str, str]  # (kind, value); kind is "email", "anonymous_id" or a vendor's name
Kind = Literal["activity", "profile", "sales"]


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
