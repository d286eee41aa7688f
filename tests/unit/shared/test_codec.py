"""Payloads to and from bytes: what is refused and how it is said, and what must come back as it was."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from shared.errors import Poison
from shared.events.activity import Activity
from shared.events.codec import decode, encode
from shared.events.codec import event as make_event
from shared.events.envelope import Event
from shared.events.sales import SalesAction

LEAD = UUID("11111111-1111-4111-8111-111111111111")
AT = datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC)
ACTIVITY = Activity(lead_id=LEAD, id=LEAD, type="page.viewed", occurred_at=AT, received_at=AT, source="web")


def event_of(type: str, value: bytes) -> Event:
    return Event(LEAD, type, LEAD, AT, AT, value)


def test_a_payload_comes_back_as_it_was() -> None:
    data = {"deep": [{"a": None}], "whole": 10**30, "exact": 0.1, "large": 1e300, "text": "Zoë \u2028 \U0001f600"}
    posted = msgspec.structs.replace(ACTIVITY, data=data, identifiers={"email": "zoë@example.com"})
    assert decode(make_event(posted, id=LEAD, time=AT, received_at=AT)) == posted


def test_fields_of_a_later_release_are_ignored() -> None:
    value = encode(ACTIVITY)[:-1] + b',"added_later":[1]}'
    assert decode(event_of(Activity.TYPE, value)) == ACTIVITY


def test_a_type_of_a_later_release_is_nothing() -> None:
    assert decode(event_of("accord.added.later", b"{}")) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("occurred_at", b'"2026-11-22T09:30:00"'),  # without an offset
        ("lead_id", b'"Jane Doe"'),
        ("owner", b'"%s"' % (b"Jane" * 126)),  # longer than an index can hold
        ("identifiers", b'{"jane@example.com": 7}'),
        ("action", b'"jane@example.com - at `$.note`"'),
        ("action", b'["Jane Doe"]'),
    ],
)
def test_a_refusal_names_the_field_and_never_the_value(field: str, value: bytes) -> None:
    action = {"lead_id": LEAD, "id": LEAD, "action": "note", "occurred_at": AT, "received_at": AT, "source": "crm"}
    text = encode(action | {field: msgspec.Raw(value)})
    with pytest.raises(Poison) as refused:
        decode(event_of(SalesAction.TYPE, text))
    assert field in str(refused.value)
    assert "ane" not in str(refused.value)


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"null", b'{"lead_id": "\xff"}', b"jane"])
def test_what_is_no_payload_is_poison(value: bytes) -> None:
    with pytest.raises(Poison):
        decode(event_of(Activity.TYPE, value))
