"""What a plain event means, and what is refused with which words."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError

from services.ingest.model import Oversized, Posted, Refused, read_json
from services.ingest.schemas import EventShape, PostedEvent
from services.ingest.vendors.plain import Reading, Sender, read_event, split

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
SENDER = Sender(name="api", source=None, team=None, teams={"crm": "sales"})
READING = Reading(sender=SENDER, received_at=NOW, check_text=True, event_bytes_max=32_768)


def event(**changes: Any) -> dict[str, Any]:
    return {"id": "e1", "type": "whitepaper.downloaded", "lead": {"email": "ada@example.com"}, **changes}


def read(raw: Any, reading: Reading = READING) -> Posted:
    return read_event(raw, reading)


def refusal(raw: Any) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        read(raw)
    return [(fault.path, fault.message) for fault in caught.value.faults]


def test_an_event_without_a_time_occurred_when_it_was_received() -> None:
    assert read(event()).occurred_at == NOW


def test_a_time_in_the_future_counts_as_the_time_of_receipt() -> None:
    assert read(event(occurred_at="2027-01-01T00:00:00Z")).occurred_at == NOW


def test_a_time_with_an_offset_is_kept_as_utc() -> None:
    assert read(event(occurred_at="2026-11-22T10:00:00.5+02:00")).occurred_at == datetime(
        2026, 11, 22, 8, 0, 0, 500_000, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "text",
    ["1999-12-31T23:59:59Z", "yesterday", "1700000000", "2026-11-22", "2026-11-22T10:00:00", "2026-13-01T00:00:00Z"],
)
def test_a_time_that_is_absurd_or_unclear_is_refused_by_name(text: str) -> None:
    ((path, message),) = refusal(event(occurred_at=text))
    assert path == "occurred_at"
    assert message.startswith("must")


@pytest.mark.parametrize("value", [True, 5, {}, ["x"]])
def test_a_value_of_the_wrong_type_is_refused_by_name(value: Any) -> None:
    assert refusal(event(type=value))[0][0] == "type"
    assert refusal(event(lead={"email": value}))[0][0] == "lead.email"


def test_every_fault_of_an_event_is_named_at_once() -> None:
    assert {path for path, _ in refusal({"type": "Bad Type", "lead": {"phone": "1"}, "colour": 1})} == {
        "type",
        "lead.phone",
        "colour",
    }


def test_an_unknown_sales_action_is_refused_with_the_list_of_known_ones() -> None:
    ((path, message),) = refusal(event(type="sales.hugged"))
    assert path == "type"
    assert "sales.contacted" in message


def test_an_event_needs_an_identifier() -> None:
    assert refusal(event(lead={}))[0][0] == "lead"
    assert refusal({"id": "e1", "type": "page.viewed"})[0][0] == "lead"


def test_the_email_stands_first_and_is_normalised() -> None:
    found = read(event(lead={"anonymous_id": "a1", "email": " Ada@Bücher.Example ", "ids": {"hubspot": "77"}}))
    assert found.identifiers == (
        ("email", "ada@xn--bcher-kva.example"),
        ("anonymous_id", "a1"),
        ("hubspot", "77"),
    )


@pytest.mark.parametrize("address", ["ada", "ada@", "@x.example", "a b@x.example", "a@b@c", "a\x00@x.example"])
def test_what_is_no_address_is_refused(address: str) -> None:
    assert refusal(event(lead={"email": address}))


def test_ids_depend_on_the_source_and_the_senders_id_alone() -> None:
    assert read(event()).id == read(event(data={"title": "other"})).id
    assert read(event()).id != read(event(source="web")).id


def test_without_a_senders_id_a_repeat_in_the_same_minute_is_the_same_event() -> None:
    anonymous = {name: value for name, value in event().items() if name != "id"}
    later = replace(READING, received_at=NOW + timedelta(minutes=1))
    assert read(anonymous).id == read(dict(reversed(anonymous.items()))).id
    assert read(anonymous).id != read(anonymous, later).id
    timed = {**anonymous, "occurred_at": "2026-11-22T09:00:00Z"}
    assert read(timed).id == read(timed, later).id


def test_the_keys_source_wins_over_the_events_and_gives_the_team() -> None:
    bound = replace(READING, sender=Sender("api", "web", "marketing", {}))
    assert read(event(source="crm")).team == "sales"
    assert (read(event(source="crm"), bound).source, read(event(source="crm"), bound).team) == ("web", "marketing")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"type": "page.viewed", "lead": {"email": "a@b.example"}, "data": {"x": "\\u0000"}}', "NUL"),
        ('{"type": "page.viewed", "lead": {"email": "a@b.example"}, "data": {"\\ud800": 1}}', "lone surrogate"),
        ('{"type": "page.viewed", "lead": {"email": "a@b.example"}, "data": {"x": {"y": 1, "y": 2}}}', "key twice"),
        ('{"type": "page.viewed", "lead": {"email": "a@b.example"}, "data": {"x": 1e999}}', "range of a double"),
        (
            '{"type": "page.viewed", "lead": {"email": "a@b.example"}, "data": ' + '{"x":' * 70 + "1" + "}" * 70 + "}",
            "deeper",
        ),
        (
            '{"type": "page.viewed", "lead": {"email": "a@b.example"}, "data": {"x": ' + "[" * 70 + "]" * 70 + "}}",
            "deeper",
        ),
    ],
)
def test_what_the_log_cannot_keep_is_refused(text: str, words: str) -> None:
    assert words in refusal(read_json(text))[0][1]


@pytest.mark.parametrize("text", ['{"a": 1,}', "{'a': 1}", "", "[" * 100_000, '[{"a":' * 50_000 + "]" * 50_000])
def test_what_is_not_json_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_json(text)


@pytest.mark.parametrize(
    "spoilt",
    ["NaN", "-Infinity", "9" * 5_000, "[" * 5_000 + "]" * 5_000, '{"x":' * 5_000 + '"]}\\"{["' + "}" * 5_000],
)
def test_what_cannot_be_kept_spoils_its_own_event_only(spoilt: str) -> None:
    text = '{"events": [{"type": "a.b", "lead": {"email": "a@b.example"}, "data": {"x": [1, %s, 2]}}, {"n": [[3]]}]}'
    bad, good = split(read_json(text % spoilt))
    assert refusal(bad)[0][0].startswith(".data.x.1")
    assert good == {"n": [[3]]}


def test_null_is_the_same_as_nothing() -> None:
    nothing = dict.fromkeys(("occurred_at", "profile", "data", "source", "campaign"))
    posted = read({**event(lead={"email": "ada@example.com", "anonymous_id": None, "ids": None}), **nothing})
    assert posted == read(event())
    assert refusal(event(lead=None))[0] == ("lead", "needs at least one identifier: email, anonymous_id or ids")


def test_a_batch_that_names_its_events_twice_is_refused() -> None:
    with pytest.raises(Refused, match="twice"):
        split(read_json('{"events": [], "events": [{"type": "page.viewed"}]}'))


def test_messages_are_in_plain_words() -> None:
    assert refusal({"lead": "Ada", "shoe_size": 1, "profile": dict.fromkeys(map(str, range(201)))}) == [
        ("type", "is required"),
        ("lead", "must be an object"),
        ("profile", "has more than the 200 that are allowed"),
        ("shoe_size", "is not a known field"),
    ]
    assert refusal(event(profile={"x" * 101: 1})) == [
        ("profile." + "x" * 101, "its name: String should have at most 100 characters")
    ]


@pytest.mark.parametrize("email", ["a@b..example", "a@.example", "a@.", "a@"])
def test_an_email_whose_domain_has_an_empty_part_is_refused(email: str) -> None:
    assert refusal(event(lead={"email": email})) == [("lead.email", "must be an email address")]


def test_an_event_over_the_size_is_refused_as_such() -> None:
    with pytest.raises(Oversized):
        read(event(data={"text": "x" * 40_000}))


def test_a_type_that_is_none_is_refused_with_one_that_is() -> None:
    for type_ in ("Page Viewed", "page.viewed\n", "page..viewed", ""):
        assert refusal(event(type=type_)) == [("type", "must be lower-case words with dots between, like page.viewed")]


def test_sales_data_is_checked_field_by_field() -> None:
    faults = refusal(event(type="sales.won", data={"amount": -1, "currency": "usd"}))
    assert {path for path, _ in faults} == {"data.amount", "data.currency"}
    assert refusal(event(type="sales.won", data={"amount": 1.1e15})) == [
        ("data.amount", "Input should be less than or equal to 1000000000000000")
    ]
    assert refusal(event(type="sales.snoozed", data={"until": "soon"}))[0][0] == "data.until"
    # It would pause nothing, and nobody would hear of it.
    for data in ({}, {"until": None}):
        assert refusal(event(type="sales.snoozed", data=data)) == [("data.until", "is required for sales.snoozed")]
    assert read(event(type="sales.won", data={"amount": 10, "currency": "USD"})).data == {
        "amount": 10.0,
        "currency": "USD",
    }


def test_a_body_is_one_event_or_a_list_of_them() -> None:
    assert split(event()) == [event()]
    assert split({"events": [1, 2]}) == [1, 2]
    bodies: list[Any] = [[], [event()], "x", None, {"events": []}, {"events": {}}, {"events": [1], "id": "x"}]
    for bad in bodies:
        with pytest.raises(Refused):
            split(bad)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(
    st.one_of(
        JSON, st.fixed_dictionaries({"type": st.just("page.viewed"), "lead": JSON, "data": JSON, "profile": JSON})
    )
)
def test_whatever_is_posted_is_read_or_refused(raw: Any) -> None:
    try:
        found: Any = read(raw).identifiers
    except Refused as refused:
        found = refused.faults
    assert found


PLAIN_TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
LONG = st.sampled_from((100, 101, 200, 201, 320, 321)).map(lambda length: "é" * length)
NAMES = PLAIN_TEXT | LONG
TYPES = st.from_regex(r"[a-z0-9_.A-Zé-]{0,6}\n?", fullmatch=True) | st.sampled_from((200, 201)).map(
    lambda length: "a" * length
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | PLAIN_TEXT
ENTRIES = st.dictionaries(NAMES, VALUES | NAMES, max_size=3)
MANY = st.sampled_from((20, 21, 200, 201)).map(lambda n: {f"k{i}": "v" for i in range(n)})
LEADS = st.fixed_dictionaries(
    {}, optional={"email": VALUES | NAMES, "anonymous_id": VALUES | NAMES, "ids": VALUES | ENTRIES | MANY, "x": VALUES}
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "type": TYPES | VALUES,
        "id": VALUES | NAMES,
        "occurred_at": VALUES,
        "lead": LEADS | VALUES,
        "profile": ENTRIES | MANY | VALUES,
        "data": ENTRIES | VALUES,
        "source": VALUES | NAMES,
        "campaign": VALUES | NAMES,
        "x": VALUES,
    },
)


def accepts(validate: Callable[[], object]) -> bool:
    try:
        validate()
    except (ValidationError, msgspec.ValidationError):
        return False
    return True


@settings(max_examples=400)
@given(EVENTS | st.builds(lambda changes: event(**changes), EVENTS))
def test_the_shape_that_is_looked_at_accepts_what_the_documented_one_does(raw: dict[str, Any]) -> None:
    assert accepts(lambda: msgspec.convert(raw, EventShape)) == accepts(lambda: PostedEvent.model_validate(raw))
