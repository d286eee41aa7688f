"""The agreement read aloud: nothing of the document is left out, and what reads the same means the same."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from agreement_builders import MINIMAL, places
from difference_examples import DEFAULT, EXAMPLES, FULL
from hypothesis import given, settings
from hypothesis import strategies as st

from services.api.pages.aloud.agreement import changed, chapters
from services.api.pages.aloud.conditions import said
from services.api.pages.aloud.promising import BECOMES, DEEDS
from shared.agreement.condition_parsing import parse_condition
from shared.agreement.conditions import compile_condition
from shared.agreement.difference import differences
from shared.agreement.document import Accord
from shared.agreement.loading import InvalidAccord, load_accord, read_accord
from shared.events.lifecycle import Stage
from shared.events.sales import Action


def sentences(accord: Accord) -> list[str]:
    return [f"{sentence.name or ''}: {sentence.text}" for chapter in chapters(accord) for sentence in chapter.sentences]


def leaves(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every plain value with its place, and every key that somebody chose as a value of its own."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if pairs is None:
        yield at, value
        return
    for key, item in pairs:
        if at[-1:] in (("rejection_reasons",), ("teams",), ("managers",)):
            yield at, key
        yield from leaves(item, (*at, key))


# How a value of the example is said where that is not by itself.
SAID = {
    "30d": "30 days",
    "1d": "any day",
    "7d": "7 days",
    "90d": "90 days",
    "14d": "14 days",
    "1h": "1 open hour",
    "8h": "8 open hours",
    "16h": "16 open hours",
    "20/d": "20 leads a day",
    "2026-12-24": "24 December 2026",
    "100%": "At the deadline",
    "business": "open hour",
    "always": "whatever hour",
    "never": "do not fade",
    "mql": "an MQL",
    "sql": "an SQL",
    "sal": "an SAL",
    "contacted": "contact the lead",
    "accepted": "accept it",
    "rejected": "reject it",
    "disqualified": "disqualif",
    "recycled": "recycle",
    "opportunity.opened": "open an opportunity",
    "snoozed": "the clock stands still",
    "reassign": "goes to another owner",
    "recycle": "is recycled",
    "marketing": "arketing",
    "sales": "ales",
    "09:00-17:30": "09:00 to 17:30",
    "09:00-12:00": "09:00 to 12:00",
    "13:00-16:00": "13:00 to 16:00",
    "company_domain": "company domain",
    True: "only the first time",
}


TOLD = "\n".join(sentences(read_accord(DEFAULT)))


@pytest.mark.parametrize("leaf", list(leaves(DEFAULT)), ids=str)
def test_every_value_of_the_example_is_said(leaf: tuple[tuple[str | int, ...], Any]) -> None:
    at, value = leaf
    if at[-1] == "matches":
        words = value.removeprefix(r"(?i)\b(").removesuffix(r")\b").split("|")
    elif at[-1] in ("activity", "rejection_reasons"):
        words = [f"“{value.replace('.', ' ').replace('_', ' ')}”"]
    elif type(value) is int:
        words = [f"{abs(value):,}"]
    else:
        words = [SAID.get(value, str(value))]
    assert [word for word in words if word not in TOLD] == []


@pytest.mark.parametrize("field", EXAMPLES)
def test_another_value_of_any_field_reads_differently_and_is_marked(field: str) -> None:
    path, value, _ = EXAMPLES[field]
    document: Any = deepcopy(FULL)
    place = document
    *around, last = path.split(".")
    for step in around:
        place = place[int(step) if isinstance(place, list) else step]
    place[int(last) if isinstance(place, list) else last] = value
    before, after = read_accord(FULL), read_accord(document)
    assert sentences(before) != sentences(after)
    marked = changed(chapters(after), [change.path for change in differences(before, after)])
    new = {s for chapter in chapters(after) for s in chapter.sentences} - {
        s for chapter in chapters(before) for s in chapter.sentences
    }
    assert marked & new


def test_whatever_is_left_out_of_the_document_reads_differently() -> None:
    before = read_accord(FULL)
    left_out = 0
    for at in places(FULL):
        document: Any = deepcopy(FULL)
        place = document
        for step in at[:-1]:
            place = place[step]
        if at:
            del place[at[-1]]
        try:
            after = read_accord(document)
        except InvalidAccord:
            continue
        # That conversions are counted for 14 days more holds without saying so, too.
        if differences(before, after) and at[-1:] != ("settles_after",):
            left_out += 1
            assert sentences(before) != sentences(after), at
    assert left_out > 100


def test_the_smallest_accord_says_what_holds_without_more() -> None:
    told = sentences(load_accord(MINIMAL))
    for words in (
        "No activity earns any points.",
        "Every qualified lead waits in the queue “unassigned”.",
        "No reason to reject a lead is agreed, so sales can't reject one.",
        "A recycled lead does not rest: the next thing it does may qualify it again.",
        "Nothing is promised on a single lead.",
        "No grade is agreed: every lead is of grade D.",
        "Open hours are Monday 09:00 to 17:00; closed on Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.",
    ):
        assert any(words in sentence for sentence in told), words


def test_every_stage_and_every_deed_has_words() -> None:
    assert set(BECOMES) == set(Stage)
    assert set(DEEDS) == set(Action)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            {"grade": {"in": ["A", "B"]}, "engagement": {"gte": 40}},
            "its grade is A or B and its engagement is at least 40",
        ),
        ({"not": {"grade": {"in": ["A", "B"]}}}, "its grade is not A or B"),
        ({"not": {"title": {"exists": True}}}, "its title is not known"),
        ({"employees": {"gte": 50, "lt": 1000}}, "its employees are at least 50 and below 1,000"),
        ({"any": [{"a": 1, "b": "x y"}, {"c": True}]}, "its a is 1 and its b is “x y”, or its c is true"),
        (
            {"all": [{"any": [{"a": "1"}, {"b": "no"}]}, {"c": {"ne": 0.5}}]},
            "(its a is “1”, or its b is no) and its c is not 0.5",
        ),
        ({"title": {"matches": r"(?i)\b(vp|c[a-z]o)\b"}}, "its title has the word vp, or a word of the form c[a-z]o"),
        ({"title": {"matches": r"^(a|b)\d"}}, r"its title matches the pattern “^(a|b)\d”"),
        ({"title": {"matches": r"(?i)\b(a[|]b|c)\b"}}, r"its title matches the pattern “(?i)\b(a[|]b|c)\b”"),
        ({"path": {"starts_with": "/pricing"}}, "its path starts with /pricing"),
        ({"not": {"tags": {"contains": "vip"}}}, "its tags do not contain vip"),
        ({"odd\nfield": {"in": []}}, "its “odd\nfield” is one of none, which never holds"),
        ({"all": []}, "anything holds"),
    ],
)
def test_conditions_are_said_of_one_lead(document: Any, words: str) -> None:
    assert said(parse_condition(document)) == words


VALUES = st.sampled_from([1, 2, "a", "1", True, "known", "a or b"])
TESTS = st.builds(
    lambda field, operator, value: {field: {operator: value}},
    st.sampled_from(["a", "b"]),
    st.sampled_from(["eq", "ne", "contains"]),
    VALUES,
) | st.builds(
    lambda field, operator, values: {field: {operator: values}},
    st.sampled_from(["a", "b"]),
    st.sampled_from(["in", "not_in"]),
    st.lists(VALUES, max_size=3),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda parts: st.one_of(
        st.builds(lambda inner: {"all": inner}, st.lists(parts, min_size=1, max_size=3)),
        st.builds(lambda inner: {"any": inner}, st.lists(parts, min_size=1, max_size=3)),
        st.builds(lambda inner: {"not": inner}, parts),
    ),
    max_leaves=5,
)
FACTS = [{"a": a, "b": b} for a in (1, 2, "a", "1", True, None, "a or b") for b in (1, "a", "known", None)]


@settings(max_examples=150, deadline=None)
@given(st.lists(CONDITIONS, min_size=12, max_size=12))
def test_conditions_that_read_the_same_hold_the_same(documents: list[Any]) -> None:
    by_words: dict[str, list[bool]] = {}
    for document in documents:
        condition = parse_condition(document)
        holds = [compile_condition(condition)(facts) for facts in FACTS]
        assert by_words.setdefault(said(condition), holds) == holds
