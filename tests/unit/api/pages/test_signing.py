"""What a reader may do about a version, and why not."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.api.pages.instants import InvalidInstant, instant_of_form
from services.api.pages.signing import in_effect, may_act, on_its_way, standing
from shared.http.auth import Principal

SIGNED = {"role": "marketing", "key_id": "m1", "signed_by": "Mary", "is_person": True}
BOOTSTRAP = {"role": None, "key_id": None, "signed_by": "bootstrap", "is_person": False}


def version(state: str = "proposed", *signatures: dict[str, Any]) -> dict[str, Any]:
    return {"version": 2, "state": state, "signatures": list(signatures)}


def reader(role: str, *scopes: str, key_id: str = "k", owner: str | None = None) -> Principal:
    return Principal(key_id, "somebody", role, frozenset(scopes), owner=owner)


def test_each_side_signs_once() -> None:
    for role, other in (("marketing", "sales"), ("sales", "marketing")):
        found = standing(version("proposed", {**SIGNED, "role": other}), reader(role, "accord:sign"))
        assert (found.may_sign, found.why_not, found.may_withdraw) == (True, None, True)
        assert (found.signed[role], found.signed[other]) == (None, {**SIGNED, "role": other})
    again = standing(version("proposed", SIGNED), reader("marketing", "accord:sign"))
    assert not again.may_sign
    assert "Marketing has signed version 2 already" in str(again.why_not)


@pytest.mark.parametrize(
    ("who", "words"),
    [
        (reader("admin"), "This key is of role admin."),
        (reader("operations", "accord:sign"), "This key is of role operations."),
        (reader("sales", "accords:read"), "lacks the scope accord:sign"),
        (reader("sales", "accord:sign", owner="ada"), "limited to the leads of one owner"),
        (reader("sales", "accord:sign", key_id="m1"), "one person does not sign for both sides"),
    ],
)
def test_the_wrong_person_is_told_why(who: Principal, words: str) -> None:
    found = standing(version("proposed", SIGNED), who)
    assert not found.may_sign
    assert words in str(found.why_not)


def test_what_is_decided_can_neither_be_signed_nor_withdrawn_and_needs_no_excuse() -> None:
    for state in ("scheduled", "effective", "superseded", "withdrawn"):
        found = standing(version(state, BOOTSTRAP), reader("sales", "accord:sign"))
        assert (found.may_sign, found.why_not, found.may_withdraw) == (False, None, False)


def test_a_key_that_is_limited_to_some_leads_does_nothing_about_versions() -> None:
    assert may_act(reader("sales", "accord:propose"), "accord:propose")
    assert not may_act(reader("sales", "accord:propose", owner="ada"), "accord:propose")


def test_versions_are_told_apart_by_what_people_wait_for() -> None:
    versions = [version("proposed"), version("scheduled"), version("effective"), version("superseded")]
    assert in_effect(versions) == version("effective")
    assert in_effect(versions[:2]) is None
    assert on_its_way(versions) == versions[:2]


def test_a_time_of_a_form_is_read_where_the_reader_is() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert instant_of_form("2026-12-01T08:00", berlin) == datetime(2026, 12, 1, 7, tzinfo=UTC).isoformat()
    assert instant_of_form("  ", berlin) is None
    for wrong in ("tomorrow", "0001-01-01T00:00", "2026-13-01T00:00"):
        with pytest.raises(InvalidInstant, match="Choose a day and a time"):
            instant_of_form(wrong, berlin)
