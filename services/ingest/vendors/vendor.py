"""What a kind of sender is to ingest: how it proves who it is, how it shakes hands, what its bodies mean, and what it
takes for success. All of it pure: a request and a source in, values out; nothing raises for what a sender sent.

The route's order: `methods`, `handshake`, `verify`, `read`, `judging.judge`, the commit, `answer`; `refuse` on the way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from msgspec import Struct

from services.ingest.model import Fault
from services.ingest.vendors.source_settings import SourceOptions

TOKEN_PARAMETER = "token"  # noqa: S105  (the name of a query parameter)

Settings = TypeVar("Settings", bound=SourceOptions)


class Sent(Struct, frozen=True):
    """One request of a sender. `url` is the address as the sender called it (public base, path, query), which some
    sign; `headers` have lower-case names; `body` is raw, or inflated if it was compressed."""

    method: str
    url: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    received_at: datetime


class SourceConfig(NamedTuple):
    """A configured sender. `secrets`: the current one first, then older ones while they still count."""

    id: UUID
    name: str
    kind: str
    team: str
    secrets: tuple[str, ...]
    settings: SourceOptions

    def settings_as(self, model: type[Settings]) -> Settings:
        """The settings as this kind's own model."""
        assert isinstance(self.settings, model)
        return self.settings


class RefusalReason(StrEnum):
    """Why a whole request is refused."""

    UNPROVEN = "unproven"  # carries no signature, token or password at all
    FORGED = "forged"  # carries one that is wrong
    STALE = "stale"  # signed at a time too far from when it was received
    STRANGER = "stranger"  # from an account that the source doesn't list
    METHOD = "method"
    MEDIA_TYPE = "media_type"
    UNREADABLE = "unreadable"  # proven, but its body can't be read


class Refusal(NamedTuple):
    """Why nothing of a request is taken, in words that name what is allowed and quote nothing."""

    reason: RefusalReason
    message: str


class Standing(StrEnum):
    """What Accord makes of one item of a body."""

    MAPPED = "mapped"
    UNMAPPED = "unmapped"  # a kind without a type of its own: published as `vendor.kind`, listed as not yet mapped
    INCOMPLETE = "incomplete"  # ids only: who it was or what they did stays behind the vendor's API
    IGNORED = "ignored"  # nothing that concerns a lead, or the source says so: counted, not published
    ERASURE = "erasure"  # the sender asks to forget a person


class Item(Struct, frozen=True):
    """One item of a body. `kind` and `names` are the sender's words; `names` the keys by which the source's settings
    may map it, the most specific first. `event` is a plain event (HTTP.md); an INCOMPLETE item has one or none.

    `needs_known_lead`: publish the event only if one of its identifiers is on file, else keep the item as incomplete
    (a deal whose person is not known yet must not become a person). `position` counts from 0 in the body."""

    kind: str
    names: tuple[str, ...]
    standing: Standing
    event: Mapping[str, Any] | None = None
    why: str | None = None
    erase: Mapping[str, Any] | None = None  # whom to forget: the shape of a plain event's `lead`
    needs_known_lead: bool = False
    position: int = 0


class Bad(NamedTuple):
    """An item that can't be taken; those beside it can. `position` as in Item."""

    position: int
    id: str | None
    faults: tuple[Fault, ...]


class Read(Struct, frozen=True):
    """What a body holds."""

    items: Sequence[Item]
    bad: Sequence[Bad] = ()


class Tally(Struct, frozen=True):
    """What became of a body: events committed now, seen before, items kept or ignored, items refused."""

    accepted: int
    duplicates: int
    kept: int
    bad: Sequence[Bad]

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing of it could be used."""
        return bool(self.bad) and not (self.accepted or self.duplicates or self.kept)


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes = b""
    media_type: str | None = None
    headers: Mapping[str, str] = {}


Verify = Callable[[Sent, SourceConfig], Refusal | None]
ReadBody = Callable[[Sent, SourceConfig], Read | Refusal]
Handshake = Callable[[Sent, SourceConfig], Reply | None]


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """A kind of source. `secret_in_url`: it can't sign, so that the address to paste ends in `?token=<secret>`."""

    kind: str
    settings: type[SourceOptions]
    verify: Verify
    read: ReadBody
    answer: Callable[[Tally, Sent], Reply]
    refuse: Callable[[Refusal, Sent], Reply]
    handshake: Handshake = lambda sent, source: None
    methods: frozenset[str] = frozenset({"POST"})
    secret_in_url: bool = False
