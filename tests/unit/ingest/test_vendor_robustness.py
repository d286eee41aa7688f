"""No body whatever, from any vendor, yields anything but a value; and what is good in it is kept."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vendor_builders import RECEIVED_AT, sent, source
from vendor_goldens import body_of, fixtures

from services.ingest.vendors.judging import judge
from services.ingest.vendors.registry import VENDORS
from services.ingest.vendors.vendor import Read, Refusal, RefusalReason, Reply, Sent, SourceConfig, Standing, Tally

EXAMPLES: Final = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
TRACKING: Final = "https://accord.example/segment/v1/batch"
MEDIA_TYPES: Final = (
    "",
    "application/json",
    "application/x-www-form-urlencoded",
    "text/xml",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("ada@example.com")


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)


values = st.recursive(scalars, containers, max_leaves=12)


def digest(request: Sent, config: SourceConfig) -> Read | Refusal:
    """Everything that the route does with a request, but for the commit."""
    vendor = VENDORS[config.kind]
    assert isinstance(vendor.verify(request, config), Refusal | None)
    found = vendor.read(request, config)
    if isinstance(found, Refusal):
        assert isinstance(vendor.refuse(found, request), Reply)
        return found
    judged = judge(found, config, received_at=RECEIVED_AT, event_bytes_max=32 * 1024)
    tally = Tally(len(judged.fit), 0, len(judged.kept), judged.bad)
    assert isinstance(vendor.answer(tally, request), Reply)
    for item in found.items:
        json.dumps([item.kind, item.names, item.why]).encode()
        assert "\x00" not in item.kind
    return found


def configs(kind: str) -> Iterator[SourceConfig]:
    yield source(kind)
    if kind == "generic":
        everywhere = {"type": "type", "id": "id", "email": "*", "occurred_at": "@", "data": "sort(@)"}
        yield source(kind, map={**everywhere, "events": "[]"})
        yield source(kind, map=everywhere)


def fixture_values(kind: str) -> list[Any]:
    found = [json.loads(path.read_text()) for path in fixtures() if path.parent.name == kind]
    return [fixture["body"] for fixture in found if not isinstance(fixture["body"], str)] or [{}]


def fixture_bytes(kind: str) -> list[bytes]:
    return [body_of(json.loads(path.read_text())) for path in fixtures() if path.parent.name == kind]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path within a value."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("kind", VENDORS)
@EXAMPLES
@given(body=st.binary(max_size=200), media_type=st.sampled_from(MEDIA_TYPES))
def test_bytes_of_any_kind_yield_a_value(kind: str, body: bytes, media_type: str) -> None:
    for config in configs(kind):
        digest(sent(body, {"Content-Type": media_type, "ce-specversion": "1.0"}), config)


@pytest.mark.parametrize("kind", VENDORS)
@EXAMPLES
@given(data=st.data(), new=values, media_type=st.sampled_from(MEDIA_TYPES))
def test_a_vendors_body_with_anything_in_any_place_yields_a_value(
    kind: str, data: st.DataObject, new: Any, media_type: str
) -> None:
    whole = data.draw(st.sampled_from(fixture_values(kind)))
    path = data.draw(st.sampled_from(list(places(whole))))
    body = json.dumps(put(whole, path, new))
    url = TRACKING if kind == "segment" and data.draw(st.booleans()) else "https://accord.example/v1/hooks/6"
    for config in configs(kind):
        digest(sent(body, {"Content-Type": media_type}, url=url), config)


@pytest.mark.parametrize("kind", VENDORS)
@EXAMPLES
@given(data=st.data())
def test_a_vendors_body_cut_anywhere_or_with_a_byte_changed_yields_a_value(kind: str, data: st.DataObject) -> None:
    body = data.draw(st.sampled_from(fixture_bytes(kind)))
    at = data.draw(st.integers(0, max(0, len(body) - 1)))
    for broken in (body[:at], body[:at] + data.draw(st.binary(max_size=3)) + body[at + 1 :]):
        for media_type in MEDIA_TYPES:
            digest(sent(broken, {"Content-Type": media_type}), source(kind))


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"<a>" * 200_000,
        b'[{"a": 1, "a": 2}]',
        b'{"a": 1, "a": 2}',
        b"9" * 100_000,
        b"[NaN, 1e999]",
        b'"\\ud800"',
        b'{"event_type": "\\u0000", "type": "\\ud800", "event": "\\u0000"}',
        b"a=1&" * 5_000,
        b"\xff\xfe",
    ],
)
def test_what_is_too_deep_too_long_or_no_text_yields_a_value(kind: str, body: bytes) -> None:
    for media_type in MEDIA_TYPES:
        for config in configs(kind):
            digest(sent(body, {"Content-Type": media_type}), config)


MESSAGE: Final = (
    '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>'
    '<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D000000000062</OrganizationId>'
    '<Notification><Id>1</Id><sObject xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="sf:Lead">'
    "<Email>{}</Email></sObject></Notification></notifications></Body></Envelope>"
)
LAUGHS: Final = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
FORBIDDEN: Final = "a document type or entities are not allowed"


@pytest.mark.parametrize(
    ("before", "email", "words"),
    [
        (LAUGHS, "&c;", FORBIDDEN),
        ('<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;", FORBIDDEN),
        ('<!DOCTYPE l [<!ENTITY % p SYSTEM "http://192.0.2.1/p"> %p;]>', "", FORBIDDEN),
        ('<!DOCTYPE l SYSTEM "http://192.0.2.1/evil.dtd">', "", FORBIDDEN),
        ("<!DOCTYPE l>", "", FORBIDDEN),
        ("", "&nbsp;", "malformed XML"),
        ("", "<a>" * 20 + "</a>" * 20, "nested deeper than 16 levels"),
        ('<?xml version="1.0" encoding="x-nothing"?>', "", "encoding"),
        ('<?xml version="1.0" encoding="shift_jis"?>', "", "encoding"),
    ],
)
def test_salesforces_xml_may_bring_no_document_type_no_entities_and_few_levels(
    before: str, email: str, words: str
) -> None:
    assert isinstance(digest(sent(MESSAGE.format("ada@example.com")), source("salesforce")), Read)
    found = digest(sent(before + MESSAGE.format(email)), source("salesforce"))
    assert isinstance(found, Refusal)
    assert found.reason is RefusalReason.UNREADABLE
    assert words in found.message


@pytest.mark.parametrize("body", ["<l/>", "", "<l>", MESSAGE.replace("Notification>", "Other>").format("")])
def test_what_is_no_outbound_message_is_unreadable(body: str) -> None:
    found = digest(sent(body), source("salesforce"))
    assert isinstance(found, Refusal)
    assert found.reason is RefusalReason.UNREADABLE


def test_whom_to_forget_must_be_an_id_that_can_be_stored() -> None:
    config = source("segment")
    found = digest(
        sent(json.dumps([{"type": "delete", "userId": "a\x00b"}, {"type": "delete", "userId": "b"}])), config
    )
    assert isinstance(found, Read)
    judged = judge(found, config, received_at=RECEIVED_AT, event_bytes_max=None)
    assert [(bad.position, bad.faults[0].message) for bad in judged.bad] == [(0, "has a NUL character")]
    assert [item.erase for item in judged.kept] == [{"ids": {"user_id": "b"}}]


def test_an_organization_that_is_not_listed_is_a_stranger_in_either_form_of_its_id() -> None:
    body = next(body for body in fixture_bytes("salesforce") if b"Working" in body)
    for listed in ("00D000000000062", "00D000000000062EAA"):
        assert isinstance(digest(sent(body), source("salesforce", organization_ids=[listed])), Read)
    found = digest(sent(body), source("salesforce", organization_ids=["00D000000000063"]))
    assert isinstance(found, Refusal)
    assert found.reason is RefusalReason.STRANGER


def test_salesforces_session_id_is_read_by_nobody() -> None:
    for body in fixture_bytes("salesforce"):
        assert "never-to-be-seen" not in repr(digest(sent(body), source("salesforce")))


@pytest.mark.parametrize("kind", VENDORS)
def test_an_event_is_the_same_event_when_it_is_sent_again(kind: str) -> None:
    """Its id comes from the sender, so that time of receipt and number of the attempt change nothing."""
    later = RECEIVED_AT.replace(hour=14)
    for path in (path for path in fixtures() if path.parent.name == kind):
        fixture = json.loads(path.read_text())
        config = source(kind, team=fixture.get("team", "marketing"), **fixture.get("settings", {}))
        body = (
            body_of(fixture).replace(b'"attemptNumber":0', b'"attemptNumber":3').replace(b'"attempt":1', b'"attempt":2')
        )
        url = fixture.get("url", "https://accord.example/v1/hooks/6")
        ids = []
        for request in (
            sent(body_of(fixture), fixture.get("headers"), url=url),
            sent(body, fixture.get("headers"), url=url, received_at=later),
        ):
            found = digest(request, config)
            assert isinstance(found, Read)
            judged = judge(found, config, received_at=request.received_at, event_bytes_max=None)
            ids.append([fit.posted.id for fit in judged.fit if (fit.item.event or {}).get("id")])
        assert ids[0] == ids[1]


def test_what_is_ignored_is_never_published() -> None:
    for path in fixtures():
        fixture = json.loads(path.read_text())
        config = source(path.parent.name, **fixture.get("settings", {}))
        found = digest(sent(body_of(fixture), fixture.get("headers")), config)
        if isinstance(found, Read):
            assert all(item.event is None for item in found.items if item.standing is Standing.IGNORED)
