"""Which kept requests mention somebody who is to be forgotten."""

import pytest

from services.ingest.sweeper.forgetting import mention_of


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
