"""Events as Kafka messages: CloudEvents 1.0, Kafka protocol binding, binary mode (EVENTS.md).

What can't be read is a record all the same, so that it becomes a dead letter in its turn and the line goes on.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from shared.errors import Poison
from shared.events.envelope import Event, Record, named_id
from shared.telemetry.tracing import valid_traceparent

Headers = list[tuple[str, bytes]]

UNREADABLE = "unreadable message: "
_FOREIGN_EVENTS = UUID("0f3a3d0e-6b1f-5c55-9a3e-5f6a1c6f2b11")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A timestamp far from any clock's, say one in microseconds.
_SECONDS_MAX = 100 * 366 * 86_400


def key_of(event: Event) -> bytes:
    """The message key: the lead id as 36 lower-case characters."""
    return str(event.key).encode()


def headers_of(event: Event, emitter: str, seq: int) -> Headers:
    """All that a message carries beside its key and value."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(event.id).encode()),
        ("ce_source", f"/accord/{emitter.partition('/')[0]}".encode()),
        ("ce_type", event.type.encode()),
        ("ce_time", event.time.isoformat().encode()),
        ("ce_subject", str(event.key).encode()),
        ("content-type", b"application/json"),
        ("ce_emitter", emitter.encode()),
        ("ce_seq", b"%d" % seq),
        ("ce_receivedat", event.received_at.isoformat().encode()),
    ]
    if event.accord is not None:
        headers.append(("ce_accord", b"%d" % event.accord))
    if event.cause is not None:
        headers.append(("ce_cause", str(event.cause).encode()))
    if event.after is not None:
        headers.append(("ce_after", b"%d" % event.after))
    if event.traceparent is not None:
        headers.append(("traceparent", event.traceparent.encode()))
    return headers


def record_of(message: Any, topic: str) -> Record:
    """The record of one aiokafka ConsumerRecord on `topic` (its name in EVENTS.md)."""
    headers = dict(message.headers)
    try:
        return _readable(message, topic, {name: _text(value) for name, value in headers.items()})
    except (KeyError, ValueError, AttributeError, OverflowError) as error:
        reason = f"header {error} is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        return _unreadable(message, topic, reason)


def raise_if_unreadable(records: Iterable[Record]) -> None:
    """Raises Poison, with the reason, if one of the records could not be read."""
    for record in records:
        if record.event.type.startswith(UNREADABLE):
            raise Poison(record.event.type)


def _readable(message: Any, topic: str, headers: dict[str, str]) -> Record:
    emitter, seq = headers.get("ce_emitter"), headers.get("ce_seq")
    is_ours = emitter is not None and seq is not None
    if is_ours:
        id = UUID(headers["ce_id"])
        received_at = datetime.fromisoformat(headers["ce_receivedat"])
    else:
        id = named_id(_FOREIGN_EVENTS, f"{headers['ce_source']}\n{headers['ce_id']}")
        received_at = _time_of(message)
    time, traceparent = headers.get("ce_time"), headers.get("traceparent")
    # What only Accord knows is taken from nobody else: a number that Postgres can't hold would stop the line.
    accord, cause, after = map(headers.get, ("ce_accord", "ce_cause", "ce_after")) if is_ours else (None, None, None)
    event = Event(
        id=id,
        type=headers["ce_type"],
        key=UUID((message.key or b"").decode()),
        time=datetime.fromisoformat(time).astimezone(UTC) if time else received_at,
        received_at=received_at,
        value=message.value or b"",
        accord=None if accord is None else int(accord),
        cause=None if cause is None else UUID(cause),
        after=None if after is None else int(after),
        traceparent=traceparent if is_ours else valid_traceparent(traceparent),
    )
    number = int(seq) if is_ours and seq is not None else None
    return Record(topic, message.partition, message.offset, emitter if is_ours else None, number, event)


def _text(value: bytes | None) -> str:
    if value is None or b"\x00" in value:
        raise ValueError("a header has no value, or a NUL character, which Postgres can't hold")
    return value.decode()


def _time_of(message: Any) -> datetime:
    """When the broker or the producer says that it came; the epoch if that can't be true."""
    seconds = message.timestamp / 1_000
    return _EPOCH + timedelta(seconds=seconds if 0 <= seconds <= _SECONDS_MAX else 0)


def _unreadable(message: Any, topic: str, reason: str) -> Record:
    """A record that no handler sees: the runner dead-letters it. Its key is that of the message if it has one."""
    at = _time_of(message)
    id = named_id(_FOREIGN_EVENTS, f"{topic}/{message.partition}/{message.offset}")
    try:
        key = UUID((message.key or b"").decode())
    except ValueError:
        key = id
    event = Event(id, f"{UNREADABLE}{reason}"[:500], key, at, at, message.value or b"")
    return Record(topic, message.partition, message.offset, None, None, event)
