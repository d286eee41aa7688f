"""What every event carries beside its data: the CloudEvents 1.0 attributes and Accord's extensions (EVENTS.md).

Named tuples, because a busy line makes a hundred thousand of them a second.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid5


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
    return uuid5(cause, f"{type}/{discriminator}" if discriminator else type)
