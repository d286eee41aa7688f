"""Odd but legal: what a vendor may send one day, and what its author reads about it."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from vendor_builders import RECEIVED_AT, read, sent, source

from services.ingest.model import Refused
from services.ingest.vendors.cloudevents import from_headers, read_cloud_event
from services.ingest.vendors.judging import judge
from services.ingest.vendors.plain import Reading, Sender
from services.ingest.vendors.registry import VENDORS
from services.ingest.vendors.vendor import Refusal

BATCH = {"content-type": "application/cloudevents-batch+json"}


def hubspot(**changes: Any) -> list[dict[str, Any]]:
    event = {"objectId": 101, "subscriptionId": 2, "portalId": 3, "occurredAt": 1_795_339_800_000}
    return [{**event, "subscriptionType": "contact.creation", **changes}]


def pipedrive(entity: str, **data: Any) -> dict[str, Any]:
    meta = {"action": "create", "entity": entity, "id": "m-1", "timestamp": "2026-11-22T09:30:00.123Z"}
    return {"meta": meta, "data": data, "previous": None}


def surveymonkey(kind: str) -> dict[str, Any]:
    return {"event_type": kind, "event_id": "1", "object_id": "9", "resources": {"respondent_id": "9"}}


def eventbrite(action: str) -> dict[str, Any]:
    address = "https://www.eventbriteapi.com/v3/events/1/attendees/2/"
    return {"api_url": address, "config": {"action": action, "webhook_id": 7}}


def read_of(
    kind: str, body: Any, *, settings: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> list[str]:
    """A line for each item: its standing, and its type or the words about it."""
    config = source(kind, **(settings or {}))
    found = read(sent(body if isinstance(body, bytes) else json.dumps(body).encode(), headers), config)
    judged = judge(found, config, received_at=RECEIVED_AT, event_bytes_max=None)
    lines = [f"{fit.item.standing.value} {fit.posted.type}" for fit in judged.fit]
    lines += [f"{item.standing.value}: {item.why}" for item in judged.kept]
    return lines + [f"bad {fault.path}: {fault.message}" for bad in judged.bad for fault in bad.faults]


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("surveymonkey", surveymonkey("response_archived"), "incomplete surveymonkey.response_archived"),
        ("surveymonkey", surveymonkey("answer_given"), "incomplete surveymonkey.answer_given"),
        ("surveymonkey", surveymonkey("collector_updated"), "ignored: about a survey or a collector"),
        ("eventbrite", eventbrite("badge.printed"), "incomplete eventbrite.badge.printed"),
        ("eventbrite", eventbrite("organizer.updated"), "ignored: about no attendee"),
        ("pipedrive", pipedrive("survey", id=1, person_id=9), "unmapped pipedrive.survey.create"),
        ("pipedrive", pipedrive("survey", id=1), "incomplete: names no person"),
        ("pipedrive", pipedrive("organization", id=1), "ignored: about no person"),
        ("hubspot", hubspot(subscriptionType="contact.restore"), "unmapped hubspot.contact.restore"),
    ],
)
def test_a_kind_that_nobody_knows_is_never_refused_and_one_known_to_concern_nobody_is_ignored(
    kind: str, body: Any, expected: str
) -> None:
    (line,) = read_of(kind, body)
    assert line.startswith(expected)


def test_a_note_of_a_person_may_be_mapped_by_the_source() -> None:
    note = pipedrive("note", id=1, person_id=9, content="<b>Hi</b>")
    assert read_of("pipedrive", note) == ["ignored: about no person"]
    settings = {"events": {"note.create": "sales.note"}}
    assert read_of("pipedrive", note, settings=settings) == ["mapped sales.note"]


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("pipedrive", {"v": 1, "event": "added.deal", "meta": {"action": "added"}, "current": {}}, "choose version 2"),
        ("hubspot", hubspot(objectId=10**40), "objectId: is required: a whole number, or text of at most 200"),
        ("hubspot", hubspot(objectId=True), "objectId: is required: a whole number, or text of at most 200"),
        ("cloudevents", [{"specversion": "1.0", "id": 5, "source": "/x", "type": "a.b"}], "id: is required, as text"),
        ("generic", {"type": "日本", "lead": {"email": "a@b.example"}}, "type: has no Latin letter or digit"),
        ("generic", b'{"type": "a.b", "lead": {"email": "a@b.example"}, "type": "c.d"}', "has a key twice"),
        ("generic", {"type": "a b" * 100, "lead": {"email": "a@b.example"}}, "or more than 200 characters"),
    ],
)
def test_what_cannot_be_read_is_told_in_words_that_help(kind: str, body: Any, words: str) -> None:
    (line,) = read_of(kind, body, headers=BATCH if kind == "cloudevents" else None)
    assert line.startswith("bad ")
    assert words in line


TWICE = b'"x": {"y": [{"z": 1, "z": 2}]}'


@pytest.mark.parametrize(
    ("kind", "twice", "good"),
    [
        (
            "hubspot",
            b'{"subscriptionType": "contact.creation", "objectId": 101, "objectId": 102}',
            b'{"subscriptionType": "contact.creation", "objectId": 103}',
        ),
        (
            "segment",
            b'{"type": "track", "userId": "u", "event": "A B", "context": {"traits": {"title": "a", "title": "b"}}}',
            b'{"type": "track", "userId": "u", "event": "A B"}',
        ),
        (
            "generic",
            b'{"type": "a.b", "lead": {"email": "a@b.example"}, "data": {%s}}' % TWICE,
            b'{"type": "a.b", "lead": {"email": "a@b.example"}, "data": {"x": 1}}',
        ),
        (
            "cloudevents",
            b'{"specversion": "1.0", "id": "1", "source": "/x", "type": "a.b", "data": {"email": "a@b.example", %s}}'
            % TWICE,
            b'{"specversion": "1.0", "id": "2", "source": "/x", "type": "a.b", "data": {"email": "a@b.example"}}',
        ),
    ],
)
def test_what_names_a_key_twice_is_refused_wherever_that_stands_and_spoils_nothing_beside_it(
    kind: str, twice: bytes, good: bytes
) -> None:
    headers = BATCH if kind == "cloudevents" else None
    lines = read_of(kind, b"[%s, %s]" % (twice, good), headers=headers)
    assert [line.partition(" ")[0] for line in lines] in (["mapped", "bad"], ["incomplete", "bad"])
    assert lines[1].endswith("has a key twice")


def test_a_map_looks_into_nothing_that_names_a_key_twice() -> None:
    settings = {"map": {"type": "what", "email": "who", "events": "rows"}}
    rows = (
        b'{"rows": [{"what": "a.b", "who": "a@b.example", "rest": {%s}}, {"what": "c.d", "who": "a@b.example"}]}'
        % TWICE
    )
    assert read_of("generic", rows, settings=settings) == ["mapped c.d", "bad .rest.x.y.0: has a key twice"]


@pytest.mark.parametrize("body", [b'{"batch": [], "batch": [{}]}', b'{"batch": [{}], "context": {}, "context": {}}'])
def test_of_two_batches_nobody_can_say_which_was_meant(body: bytes) -> None:
    answer = VENDORS["segment"].read(sent(body), source("segment"))
    assert isinstance(answer, Refusal)
    assert "has a key twice" in answer.message


def test_what_lies_in_base64_or_in_a_binary_body_may_not_name_a_key_twice_either() -> None:
    raw = b'{"email": "a@b.example", "lead": {"email": "a@b.example", "email": "c@d.example"}}'
    fault = ["bad data.lead: has a key twice"]
    assert read_of("cloudevents", raw, headers=HEADERS) == fault
    event = {name.removeprefix("ce-"): value for name, value in HEADERS.items()}
    body = [{**event, "data_base64": base64.b64encode(raw).decode()}]
    assert read_of("cloudevents", body, headers=BATCH) == fault


def test_a_name_without_a_latin_letter_works_once_the_source_maps_it() -> None:
    event = {"type": "日本", "lead": {"email": "a@b.example"}}
    assert read_of("generic", event, settings={"events": {"日本": "page.viewed"}}) == ["mapped page.viewed"]


def test_a_map_whose_list_is_not_there_says_so() -> None:
    settings = {"map": {"type": "kind", "events": "items"}}
    for body in ({}, {"items": None}):
        assert read_of("generic", body, settings=settings) == ["bad map.events: found nothing"]
    assert read_of("generic", {"items": []}, settings=settings) == []


def test_an_association_that_was_removed_is_told_from_one_that_concerns_nobody() -> None:
    tie = {"associationType": "CONTACT_TO_DEAL", "fromObjectId": 1, "toObjectId": 2}
    change = hubspot(subscriptionType="contact.associationChange", **tie, associationRemoved=True)
    assert read_of("hubspot", change) == ["ignored: an association that was removed"]


@pytest.mark.parametrize("kind", ["generic", "hubspot", "segment"])
def test_an_empty_batch_is_nothing_and_no_fault(kind: str) -> None:
    assert read_of(kind, []) == []


READING = Reading(sender=Sender("api", None, None, {}), received_at=RECEIVED_AT, check_text=True, event_bytes_max=None)
HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/x", "ce-type": "page.viewed"}


def test_a_binary_event_s_headers_are_unquoted_and_decoded_once_on_either_address() -> None:
    headers = {**HEADERS, "ce-subject": '"ada\\%40b.example"'}
    assert read_cloud_event(from_headers(headers, {}), READING).email == "ada@b.example"
    assert read_of("cloudevents", b"", headers=headers) == ["mapped page.viewed"]


@pytest.mark.parametrize("value", ["%C0%A0", "%ff"])
def test_a_header_that_is_no_utf_8_is_named(value: str) -> None:
    with pytest.raises(Refused) as caught:
        from_headers({**HEADERS, "ce-subject": value}, {})
    assert caught.value.faults == (("ce-subject", "must be percent-encoded UTF-8"),)


def test_data_in_base64_is_read_as_the_json_that_it_is() -> None:
    event = {name.removeprefix("ce-"): value for name, value in HEADERS.items()}
    event["subject"] = "ada@b.example"
    encoded = base64.b64encode(b'{"pages": 12}').decode()
    assert read_cloud_event({**event, "data_base64": encoded}, READING).data == {"pages": 12}
    assert read_cloud_event({**event, "data_base64": None}, READING).data == {}
    for more in ({"data_base64": "eyJ"}, {"data_base64": "/wA="}, {"data_base64": encoded, "data": {}}):
        with pytest.raises(Refused) as caught:
            read_cloud_event({**event, **more}, READING)
        assert caught.value.faults[0].path == "data_base64"
