"""Records as they come out of other people's systems: with every field they have, with more than one person, with ids
that went through a spreadsheet."""

import json
from typing import Any

import pytest
from vendor_builders import RECEIVED_AT, only, read, sent, source

from services.ingest.model import Posted
from services.ingest.vendors.judging import judge
from services.ingest.vendors.vendor import Item

MANY = {f"custom_{number}": f"value {number}" for number in range(260)}


def posted(kind: str, body: Any, **settings: Any) -> tuple[Item, Posted]:
    """The one event of a body, as it is committed."""
    config = source(kind, **settings)
    judged = judge(read(sent(json.dumps(body)), config), config, received_at=RECEIVED_AT, event_bytes_max=32 * 1024)
    assert not judged.bad, judged.bad
    ((item, event),) = [(fit.item, fit.posted) for fit in judged.fit]
    return item, event


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("hubspot", {"vid": 7, "properties": {k: {"value": v} for k, v in {**MANY, "jobtitle": "CTO"}.items()}}),
        ("segment", {"type": "identify", "userId": "u1", "traits": {**MANY, "jobTitle": "CTO"}}),
        ("marketo", {"leadId": 7, **MANY, "jobTitle": "CTO"}),
    ],
)
def test_of_a_record_with_more_fields_than_a_profile_holds_those_that_matter_are_kept(kind: str, body: Any) -> None:
    item, event = posted(kind, body, profile={"custom_259": "tier"})
    assert (event.profile["title"], event.profile["tier"]) == ("CTO", "value 259")
    assert len(event.profile) == 200
    assert "custom_0" in event.profile
    assert item.why == "61 fields are left out: a profile has 200, mapped ones first"


def test_a_field_whose_name_none_can_have_spoils_no_other() -> None:
    traits = {"": "nameless", "x" * 101: "long", "x" * 100: "just fits", "plan": "pro"}
    _, event = posted("segment", {"type": "identify", "userId": "u1", "traits": traits})
    assert event.profile == {"x" * 100: "just fits", "plan": "pro"}


def test_what_a_source_maps_to_a_name_wins_over_the_field_that_has_it() -> None:
    for order in (("branch", "sector"), ("sector", "branch")):
        traits = {name: name for name in order}
        _, event = posted(
            "segment", {"type": "identify", "userId": "u", "traits": traits}, profile={"branch": "sector"}
        )
        assert event.profile == {"sector": "branch"}


def test_what_was_written_beside_the_choices_is_an_answer_too() -> None:
    answers = [
        {"type": "choices", "choices": {"labels": ["A", "B"], "other": "C"}, "field": {"id": "1", "ref": "several"}},
        {"type": "choices", "choices": {"other": "C"}, "field": {"id": "2", "ref": "only_other"}},
        {"type": "choice", "choice": {"label": "A"}, "field": {"id": "3", "ref": "one"}},
        {"type": "choice", "choice": {"other": "C"}, "field": {"id": "4", "ref": "written"}},
        {"type": "payment", "payment": {"amount": "10"}, "field": {"id": "5"}},
    ]
    body = {"event_type": "form_response", "form_response": {"token": "t", "answers": answers}}
    item = only(sent(json.dumps(body)), source("typeform"))
    assert item.event is not None
    assert item.event["data"]["answers"] == {
        "several": ["A", "B", "C"],
        "only_other": "C",
        "one": "A",
        "written": "C",
        "5": {"amount": "10"},
    }


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ([{"person_id": 8, "primary": False}, {"person_id": 9, "primary": True}], "9"),
        ([{"person_id": None, "primary": True}, {"person_id": 8, "primary": False}], "8"),
        ([{"person_id": 8}, {"person_id": 9}], "8"),
    ],
)
def test_a_meeting_of_several_is_the_primary_participant_s(people: list[dict[str, Any]], expected: str) -> None:
    meta = {"action": "change", "entity": "activity", "id": "m", "timestamp": "2026-11-22T09:00:00Z"}
    data = {"id": 1, "person_id": None, "participants": people, "type": "meeting", "done": True}
    _, event = posted("pipedrive", {"meta": meta, "data": data, "previous": {"done": False}})
    assert event.identifiers == (("pipedrive", expected),)


@pytest.mark.parametrize(("value", "expected"), [(12345.0, "12345"), (1e15, "1000000000000000"), (12345, "12345")])
def test_an_id_that_became_a_whole_float_is_the_same_id(value: float, expected: str) -> None:
    _, event = posted("segment", {"type": "track", "userId": value, "event": "Signed Up"})
    assert event.identifiers == (("user_id", expected),)
