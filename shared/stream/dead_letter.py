"""A dead letter: the row that keeps an event which could not be applied, and the event that tells of it."""

from base64 import b64encode
from datetime import datetime

from shared.events import codec
from shared.events.dead_letter import DeadLettered
from shared.events.envelope import Event, Outgoing, Record, derived_id
from shared.events.topics import DEAD_LETTER
from shared.stream.carrier import DeadLetter

PAYLOAD_BYTES_MAX = 256 * 1024
MESSAGE_CHARACTERS_MAX = 2_000


def of(record: Record, *, service: str, kind: str, error: Exception, at: datetime) -> DeadLetter:
    """The letter of one record; its id is the same however often the event fails."""
    # Neither Postgres nor JSON holds a NUL or a lone surrogate, and a letter that can't be written stops the line.
    message = str(error).encode(errors="replace").decode().replace("\x00", "�")[:MESSAGE_CHARACTERS_MAX]
    return DeadLetter(derived_id(record.event.id, DeadLettered.TYPE, service), record, kind, message, at)


def outgoing(letter: DeadLetter, service: str) -> Outgoing:
    """The event on accord.dead-letter.v1, keyed as the original was, its data cut at 256 KiB."""
    record = letter.record
    event = record.event
    payload = DeadLettered(
        service=service,
        topic=record.topic,
        partition=record.partition,
        position=record.offset,
        key=event.key,
        event_id=event.id,
        event_type=event.type,
        kind=letter.kind,
        message=letter.message,
        original=b64encode(event.value[:PAYLOAD_BYTES_MAX]).decode(),
        truncated=len(event.value) > PAYLOAD_BYTES_MAX,
        at=letter.at,
    )
    return Outgoing(
        DEAD_LETTER,
        Event(
            id=letter.id,
            type=DeadLettered.TYPE,
            key=event.key,
            time=letter.at,
            received_at=event.received_at,
            value=codec.encode(payload),
            accord=event.accord,
            cause=event.id,
            traceparent=event.traceparent,
        ),
    )


__all__ = ["DeadLetter", "of", "outgoing"]
