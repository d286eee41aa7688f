"""Whatever lies on a topic becomes a record that Postgres can hold: what can't be read becomes a dead letter."""

from types import SimpleNamespace
from typing import Any

import pytest
from builders import an_event, lead_in

from shared.events.topics import ACTIVITY
from shared.stream.kafka_codec import UNREADABLE, headers_of, key_of, record_of

FOREIGN = (("ce_id", b"1"), ("ce_source", b"/crm"), ("ce_type", b"accord.activity"))
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def a_message(*headers: tuple[str, bytes | None], **changes: Any) -> Any:
    fields = {"key": str(lead_in(0)).encode(), "value": b"{}", "timestamp": 1_795_000_000_000}
    return SimpleNamespace(partition=0, offset=7, headers=headers, **{**fields, **changes})


def test_our_own_events_come_back_as_they_went() -> None:
    event = an_event("a")._replace(accord=3, cause=an_event("b").id, after=2**40, traceparent=TRACEPARENT)
    record = record_of(
        a_message(*headers_of(event, "ingest/0", 9), key=key_of(event), value=event.value), "accord.activity.v1"
    )
    assert record == (ACTIVITY, 0, 7, "ingest/0", 9, event)


@pytest.mark.parametrize("timestamp", [-1, 1_795_000_000_000_000, 2**63 - 1])
@pytest.mark.parametrize("headers", [FOREIGN, FOREIGN[1:]])
def test_a_time_that_cannot_be_true_stops_nobody(timestamp: int, headers: Any) -> None:
    record = record_of(a_message(*headers, timestamp=timestamp), ACTIVITY)
    assert record.event.received_at.year == 1970
    assert record.event.type.startswith(UNREADABLE) == (headers is not FOREIGN)


@pytest.mark.parametrize("header", [("ce_type", b"a\x00b"), ("other", b"\x00"), ("other", b"\xff"), ("other", None)])
def test_a_header_that_postgres_cannot_hold_makes_it_unreadable(header: tuple[str, bytes | None]) -> None:
    record = record_of(a_message(*FOREIGN, header), ACTIVITY)
    assert record.event.type.startswith(UNREADABLE)
    assert "\x00" not in record.event.type


def test_a_foreign_event_says_nothing_that_only_accord_knows() -> None:
    numbers = (("ce_accord", b"99999999999"), ("ce_after", b"99999999999999999999"), ("ce_cause", b"none"))
    event = record_of(a_message(*FOREIGN, *numbers, ("traceparent", b"mine")), ACTIVITY).event
    assert (event.type, event.accord, event.after, event.cause) == ("accord.activity", None, None, None)
    assert event.traceparent is None
