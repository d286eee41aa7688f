"""Reading: YAML 1.2 and JSON, what is no plain document, and the bounds."""

import contextlib
import json

import pytest
from agreement_builders import MINIMAL, problems_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.agreement.loading import InvalidAccord, default_accord_text, load_accord


def test_yaml_is_read_by_the_core_schema_of_1_2() -> None:
    where = "{country: NO, when: 2026-12-24, code: 0o17, octal: 010, on: yes, big: 1_000, quoted: '5', y: 1e2}"
    accord = load_accord(MINIMAL.replace("{engagement: {gte: 40}}", where))
    assert accord.model_dump()["stages"]["mql"] == {
        "country": "NO",
        "when": "2026-12-24",
        "code": 15,
        "octal": 10,
        "on": "yes",
        "big": "1_000",
        "quoted": "5",
        "y": 100.0,
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("accord: [1", 1),
        ("a: 1\n---\nb: 2", 2),
        ("a: !!python/object:os.system {}", 1),
        ("a: !!set {b}", 1),
        ("? [a]\n: 1", 1),
        ("a: &x [*x]", 1),
        ("a: *nowhere", 1),
        ('a: "\\ud800"', 1),
        ('a: "\\0"', 1),
        ("[" * 100 + "]" * 100, 1),
        ('a: "\\U00110000"', None),
    ],
)
def test_what_is_no_plain_document_is_refused_with_its_line(text: str, line: int | None) -> None:
    assert problems_of(text)[0] == ("", line)


def test_duplicate_keys_are_refused_in_yaml_and_in_json() -> None:
    assert problems_of(MINIMAL + "name: Again\n") == [("name", 9)]
    assert ("name", 3) in problems_of('{"accord": 1,\n"name": "A",\n"name": "B"}')


def test_a_bomb_of_aliases_and_an_endless_document_are_refused() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert problems_of(bomb)[0][0] == ""
    assert problems_of("#" + "x" * (1024 * 1024)) == [("", None)]


def test_a_number_beyond_all_bounds_is_refused() -> None:
    text = MINIMAL.replace("gte: 40", "gte: 1e999")
    assert problems_of(text) == [("stages.mql.engagement.gte", 8)]
    assert problems_of(MINIMAL.replace("gte: 40", "gte: .inf")) == [("stages.mql.engagement.gte", 8)]
    assert problems_of(MINIMAL.replace("gte: 40", "gte: " + "9" * 5000))


@pytest.mark.parametrize("text", ["", "~", "5", "[]", "just words"])
def test_a_document_that_is_no_mapping_is_refused(text: str) -> None:
    assert problems_of(text)[0][0] == ""


def test_an_anchor_can_be_used_again() -> None:
    text = MINIMAL.replace('{mon: ["09:00-17:00"]}', '{mon: &day ["09:00-17:00"], tue: *day}')
    assert len(load_accord(text).calendar.hours.tue) == 1


def test_json_is_read_too_and_its_problems_have_lines() -> None:
    document = load_accord(default_accord_text()).model_dump(mode="json")
    text = json.dumps(document, indent=1)
    assert load_accord(text).model_dump(mode="json") == document
    wrong = text.replace('"cap": 200', '"cap": "200"')
    [(path, line)] = problems_of(wrong)
    assert path == "scoring.engagement.cap"
    assert line is not None
    assert '"cap"' in wrong.splitlines()[line - 1]
    emoji = load_accord(text.replace('"Example Corp"', '"\\ud83d\\ude00"'))
    assert emoji.name == "😀"


# What the syntax of YAML is made of, and what parsers stumble over.
PIECES = st.sampled_from(
    [
        *(
            "---\n",
            "...\n",
            "%YAML 1.1\n",
            "%YAML 1.31\n",
            "%TAG ! x\n",
            "&a ",
            "*a ",
            "!!str ",
            "!x ",
            "!<",
            "? ",
            "- ",
        ),
        *("{", "}", "[", "]", ": ", ":", ",", "|2-\n", ">", '"', "'", "\\", '"\\x', '"\\ud800"', "\t", "\0", "\ufeff"),
        *("\x85", "\u2028", "\r", "#", "@", "`", "<<: *a\n", "\n\n", "~", "0x", "0o9", "1e999", ".nan", "\ud800"),
    ]
)


@settings(max_examples=150, deadline=None)
@example(text="%YAML 1.31\n", edits=[])
@example(text='a: "\\U00110000"', edits=[])
@given(
    text=st.sampled_from([MINIMAL, "", default_accord_text()[:900]]) | st.text(max_size=60),
    edits=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 5), PIECES | st.text(max_size=3)), max_size=5),
)
def test_no_text_at_all_is_answered_with_anything_but_an_accord_or_its_problems(
    text: str, edits: list[tuple[int, int, str]]
) -> None:
    for at, length, piece in edits:
        text = text[:at] + piece + text[at + length :]
    with contextlib.suppress(InvalidAccord):
        load_accord(text)
