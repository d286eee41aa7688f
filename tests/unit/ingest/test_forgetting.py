"""Which kept requests mention somebody who is to be forgotten."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from vendor_builders import sent

from services.ingest.handler.intake import write_request
from services.ingest.sweeper.forgetting import mention_of, text_of
from shared.email_address import normalise_email


@pytest.mark.parametrize(
    "text",
    ['{"objectid": 101,', '"101"', "id=101&x", "<id>101</id>", "a%20101", r"a\u0020101", r"a\n101", "x101y", "101"],
)
def test_a_number_is_found_wherever_it_stands_alone(text: str) -> None:
    assert mention_of(["101", "ada@okapi.example"]).search(text)


@pytest.mark.parametrize("text", ['"occurredat": 1795101398000', "1010", "0101", "1.1013"])
def test_a_number_is_not_found_within_a_longer_one(text: str) -> None:
    assert not mention_of(["101"]).search(text)


@pytest.mark.parametrize("text", ["xada@okapi.examplex", "ada%40okapi.example", "a+b", "a%20b"])
def test_a_text_is_found_as_it_is_and_as_it_stands_in_a_form(text: str) -> None:
    assert mention_of(["Ada@okapi.example", "a b"]).search(text)


def test_what_means_something_in_a_pattern_means_itself() -> None:
    assert not mention_of(["a.c", "(", "1+"]).search("abc 11")
    assert mention_of(["a.c", "("]).search("x(")


@pytest.mark.parametrize("email", ["ada@okapi.example", "Jörg@Okapi.example", "ada@BÜCHER.example", "ada@😀.example"])
@pytest.mark.parametrize(
    "body",
    [
        lambda email: json.dumps({"email": email}),
        lambda email: json.dumps({"email": email}, ensure_ascii=False),
        lambda email: urlencode({"data[email]": email}),
        lambda email: f"<sf:Email>{email.encode('ascii', 'xmlcharrefreplace').decode()}</sf:Email>",
    ],
    ids=["escaped JSON", "plain JSON", "form", "XML"],
)
def test_somebody_is_found_in_a_kept_request_however_the_address_is_written(email: str, body: Any) -> None:
    kept = normalise_email(email)
    assert kept is not None
    assert mention_of([kept]).search(text_of(write_request(sent(body(email)))))
    assert not mention_of([kept]).search(text_of(write_request(sent(body("bob@elsewhere.example")))))


def test_an_id_that_is_an_address_is_found_with_its_slashes_escaped() -> None:
    id = "https://api.calendly.com/users/1"
    body = json.dumps({"uri": id}).replace("/", "\\/")
    assert mention_of([id]).search(text_of(write_request(sent(body))))


def test_bytes_that_are_no_text_hide_nobody() -> None:
    assert mention_of(["ada@okapi.example"]).search(text_of(write_request(sent(b'\xff"ada@okapi.example"\xff'))))
