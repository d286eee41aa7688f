"""A dead letter can always be written and told of, whatever the event and the error hold."""

from base64 import b64decode

import msgspec
import pytest
from builders import NOON, an_event

from shared.events.dead_letter import DeadLettered
from shared.events.envelope import Record
from shared.stream import dead_letter


def a_letter(error: Exception, value: bytes = b"{}") -> dead_letter.DeadLetter:
    record = Record("accord.activity.v1", 3, 17, "ingest/0", 9, an_event("poison")._replace(value=value))
    return dead_letter.of(record, service="scoring", kind="ValueError", error=error, at=NOON)


@pytest.mark.parametrize("text", ["", "plain", "\x00", "\ud800 lone", "é" * 5_000, "\udcff\x00" * 3_000])
def test_any_message_can_be_kept(text: str) -> None:
    letter = a_letter(ValueError(text))
    assert "\x00" not in letter.message
    assert len(letter.message) <= dead_letter.MESSAGE_CHARACTERS_MAX
    assert letter.message.encode().decode() == letter.message
    assert dead_letter.outgoing(letter, "scoring").event.value


def test_its_id_is_the_same_however_often_the_event_fails_and_another_in_each_service() -> None:
    letter = a_letter(ValueError("once"))
    assert a_letter(KeyError("again")).id == letter.id
    other = dead_letter.of(letter.record, service="stages", kind="", error=ValueError(), at=NOON)
    assert other.id != letter.id


@pytest.mark.parametrize(("size", "truncated"), [(256 * 1024, False), (256 * 1024 + 1, True)])
def test_the_topic_gets_the_original_cut_at_256_kib(size: int, truncated: bool) -> None:
    letter = a_letter(ValueError("large"), b"\xff" * size)
    topic, event = dead_letter.outgoing(letter, "scoring")
    told = msgspec.json.decode(event.value, type=DeadLettered)
    assert (topic, event.key, event.cause) == ("accord.dead-letter.v1", letter.record.event.key, letter.record.event.id)
    assert b64decode(told.original) == b"\xff" * min(size, 256 * 1024)
    assert told.truncated is truncated
    assert len(letter.record.event.value) == size
