"""What the api must know of the kinds of senders that ingest understands; whoever composes the services gives it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID


class SettingFault(NamedTuple):
    """What is wrong with a setting: its dotted path below `settings`, and what is allowed there."""

    path: str
    message: str


class Sample(NamedTuple):
    """A request to try a mapping on; nothing of it is committed."""

    headers: Mapping[str, str]
    body: bytes
    path: str


class Draft(NamedTuple):
    """A source as it would be: what a sample is tried with."""

    source_id: UUID
    name: str
    team: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class SourceKind:
    """One kind. `address` is the path (and query) that a person pastes, below the public address; the secret is part of
    it where a sender can't sign, and None once it is shown no more. `try_out` says what would become of a sample."""

    name: str
    check: Callable[[Mapping[str, Any]], Sequence[SettingFault]]
    address: Callable[[UUID, str | None], str]
    new_secret: Callable[[], str]
    try_out: Callable[[Draft, Sample], Mapping[str, Any]]
    settings_schema: Mapping[str, Any]
