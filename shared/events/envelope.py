"""What every event carries beside its data: the CloudEvents 1.0 attributes and Accord's extensions (EVENTS.md).

Named tuples, because a busy line makes a hundred thousand of them a second.
"""

from datetime import datetime
from hashlib import sha1
from typing import NamedTuple
from uuid import UUID, SafeUUID


class Event(NamedTuple):
    """One event, before or after it lay on a topic.

    `value` is the data as JSON bytes; `key` the lead id (CloudEvents' subject); `received_at` that of the root event,
    carried unchanged down the line; `accord` the version that decided; `cause` the id of the event that caused this
    one; `after` the last lifecycle sequence number an sla event was decided at.
    """

    id: UUID
    type: str
    key: UUID
    time: datetime
    received_at: datetime
    value: bytes
    accord: int | None = None
    cause: UUID | None = None
    after: int | None = None
    traceparent: str | None = None


class Record(NamedTuple):
    """An event as it lies on a topic. `emitter` and `seq` are None for events of foreign producers."""

    topic: str
    partition: int
    offset: int
    emitter: str | None
    seq: int | None
    event: Event


class Outgoing(NamedTuple):
    """An event to be put on a topic by the step that decided it."""

    topic: str
    event: Event


def derived_id(cause: UUID, type: str, discriminator: str = "") -> UUID:
    """uuid5(cause, type [, discriminator]): a replay gives the same ids (EVENTS.md)."""
    return named_id(cause, f"{type}/{discriminator}" if discriminator else type)


def named_id(namespace: UUID, name: str) -> UUID:
    """uuid5 as RFC 9562 defines it, without the checks of uuid.UUID: every event of the line has such an id."""
    hashed = _NOTHING_HASHED.copy()
    hashed.update(namespace.int.to_bytes(16, "big") + name.encode())
    number = int.from_bytes(hashed.digest()[:16], "big") & _ID_BITS | _VERSION_5
    id = _new(UUID)
    _set(id, "int", number)
    _set(id, "is_safe", _UNKNOWN)
    return id


_new, _set = object.__new__, object.__setattr__
_UNKNOWN = SafeUUID.unknown  # to look up a member of an enum is Python
# To copy it takes half the time of making one.
_NOTHING_HASHED = sha1(usedforsecurity=False)
_VERSION_5 = 5 << 76 | 0b10 << 62  # version and variant
_ID_BITS = ~(0xF << 76 | 0b11 << 62)
