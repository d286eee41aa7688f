"""The three modes of CloudEvents mean the same plain event."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from services.ingest.model import Refused
from services.ingest.vendors.cloudevents import from_headers, read_cloud_event
from services.ingest.vendors.plain import Reading, Sender

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
READING = Reading(sender=Sender("api", None, None, {}), received_at=NOW, check_text=True, event_bytes_max=None)


def cloud_event(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "c1",
        "source": "/web",
        "type": "whitepaper.downloaded",
        "subject": "ada@example.com",
        "time": "2026-11-22T09:00:00Z",
        "data": {"title": "Guide"},
        **changes,
    }


def test_the_subject_is_the_email_and_unstructured_data_the_activitys_own() -> None:
    found = read_cloud_event(cloud_event(), READING)
    assert found.email == "ada@example.com"
    assert found.data == {"title": "Guide"}
    assert found.source == "/web"
    assert found.occurred_at == datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_structured_data_is_the_rest_of_a_plain_event() -> None:
    data = {"lead": {"ids": {"crm": "7"}}, "profile": {"title": "CTO"}, "data": {"title": "Guide"}, "campaign": "q4"}
    found = read_cloud_event(cloud_event(data=data), READING)
    assert found.identifiers == (("email", "ada@example.com"), ("crm", "7"))
    assert (found.profile, found.data, found.campaign) == ({"title": "CTO"}, {"title": "Guide"}, "q4")


def test_binary_mode_is_the_same_event() -> None:
    headers = {f"ce-{name}": value for name, value in cloud_event().items() if name != "data"}
    headers["ce-subject"] = "ada%40example.com"
    assert read_cloud_event(from_headers(headers, {"title": "Guide"}), READING) == read_cloud_event(
        cloud_event(), READING
    )


@pytest.mark.parametrize("missing", ["id", "source", "type", "specversion"])
def test_a_missing_attribute_is_named(missing: str) -> None:
    raw = {name: value for name, value in cloud_event().items() if name != missing}
    with pytest.raises(Refused) as caught:
        read_cloud_event(raw, READING)
    assert caught.value.faults[0].path == missing


def test_the_same_id_of_two_sources_is_two_events_whatever_source_the_key_or_the_data_say() -> None:
    bound = replace(READING, sender=Sender("api", "crm", "sales", {}))
    for reading, data in ((bound, {"title": "Guide"}), (READING, {"source": "crm", "data": {}})):
        found = [read_cloud_event(cloud_event(source=source, data=data), reading) for source in ("/a", "/b", "/a")]
        assert {event.source for event in found} == {"crm"}
        assert found[0].id == found[2].id != found[1].id


def test_a_fault_of_the_time_bears_the_name_that_the_sender_gave_it() -> None:
    with pytest.raises(Refused) as caught:
        read_cloud_event(cloud_event(time="yesterday"), READING)
    assert [fault.path for fault in caught.value.faults] == ["time"]


def test_null_data_are_no_data() -> None:
    assert read_cloud_event(cloud_event(data=None), READING).data == {}
