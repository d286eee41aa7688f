"""What conditions mean (ACCORD.md "Conditions")."""

from typing import Any

import pytest

from shared.agreement.condition_parsing import InvalidCondition, parse_condition
from shared.agreement.conditions import compile_condition, thresholds

FACTS: dict[str, Any] = {
    "title": "Head of Sales",
    "employees": 120,
    "score": 1.5,
    "country": "NO",
    "newsletter": True,
    "tags": ["Demo", 7],
    "gone": None,
    "utm": {"source": "Google", "deep": {"er": 3}},
    "literal.dots": "yes",
}


def holds(document: Any, facts: dict[str, Any] | None = None) -> bool:
    return compile_condition(parse_condition(document))(FACTS if facts is None else facts)


@pytest.mark.parametrize(
    "document",
    [
        {"title": "head of SALES"},
        {"employees": 120},
        {"employees": 120.0},
        {"newsletter": True},
        {"employees": {"gte": 50, "lt": 1000}},
        {"score": {"gt": 1, "lte": 1.5}},
        {"country": {"gt": "na", "lte": "NO"}},
        {"country": {"gte": "no"}},
        {"employees": {"gte": 120, "lte": 120}},
        {"country": {"in": ["se", "no"]}},
        {"country": {"not_in": ["se"]}},
        {"employees": {"in": [5, 120]}},
        {"country": {"ne": "SE"}},
        {"title": {"exists": True}},
        {"nothing": {"exists": False}},
        {"tags": {"contains": "demo"}},
        {"tags": {"contains": 7}},
        {"title": {"contains": "OF s"}},
        {"title": {"starts_with": "HEAD"}},
        {"title": {"ends_with": "sALES"}},
        {"title": {"matches": r"(?i)\bhead\b"}},
        {"title": {"matches": "of"}},
        {"utm.source": "google"},
        {"utm.deep.er": {"lt": 4}},
        {"literal.dots": "yes"},
        {"all": []},
        {},
        {"any": [{"employees": 1}, {"employees": 120}]},
        {"not": {"employees": 1}},
        {"title": {"contains": "head"}, "not": {"any": [{"employees": 1}]}, "all": [{"score": 1.5}]},
    ],
)
def test_these_hold(document: Any) -> None:
    assert holds(document)


@pytest.mark.parametrize(
    "document",
    [
        {"employees": "120"},
        {"title": 5},
        {"title": {"gt": 5}},
        {"title": {"gte": 5}},
        {"title": {"lt": 5}},
        {"title": {"lte": 5}},
        {"newsletter": {"lt": 5}},
        {"employees": {"gt": 120}},
        {"employees": {"lt": 120}},
        {"employees": {"lte": 119}},
        {"country": {"gt": "no"}},
        {"country": {"lt": "no"}},
        {"employees": {"lt": "x"}},
        {"newsletter": 1},
        {"newsletter": {"gte": 1}},
        {"newsletter": {"in": [1]}},
        {"employees": {"in": [True, "120"]}},
        {"title": {"matches": "head"}},
        {"employees": {"matches": "120"}},
        {"employees": {"contains": 1}},
        {"title": {"contains": "tail"}},
        {"title": {"contains": 5}},
        {"title": {"starts_with": "sales"}},
        {"employees": {"starts_with": "1"}},
        {"title": {"ends_with": "head"}},
        {"employees": {"ends_with": "0"}},
        {"tags": {"contains": "dem"}},
        {"tags": "demo"},
        {"title": {"exists": False}},
        {"employees": {"gte": 50, "lt": 100}},
        {"utm.nothing.there": 1},
        {"title.inside": 1},
        {"any": []},
        {"not": {}},
        {"all": [{"employees": 120}, {"employees": 1}]},
    ],
)
def test_these_do_not_hold(document: Any) -> None:
    assert not holds(document)


@pytest.mark.parametrize("field", ["nothing", "gone", "utm.nothing", "nothing.inside"])
@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("x", False),
        ({"ne": "x"}, True),
        ({"not_in": ["x"]}, True),
        ({"exists": False}, True),
        ({"exists": True}, False),
        ({"in": ["x"]}, False),
        ({"gt": 1}, False),
        ({"lte": 1}, False),
        ({"contains": "x"}, False),
        ({"starts_with": ""}, False),
        ({"ends_with": ""}, False),
        ({"matches": ""}, False),
    ],
)
def test_a_missing_or_null_field_satisfies_only_exists_false_ne_and_not_in(
    field: str, test: Any, expected: bool
) -> None:
    assert holds({field: test}) is expected


def test_a_pattern_that_would_backtrack_for_ever_elsewhere_answers_at_once() -> None:
    assert not holds({"text": {"matches": "^(a+)+$"}}, {"text": "a" * 50_000 + "!"})


def test_a_lone_surrogate_in_the_text_is_no_error() -> None:
    assert holds({"text": {"matches": "^a"}}, {"text": "a\ud800"})


@pytest.mark.parametrize(
    ("document", "at"),
    [
        (5, ()),
        ({"a": []}, ("a",)),
        ({"a": {}}, ("a",)),
        ({"a": None}, ("a",)),
        ({"a": {"eq": None}}, ("a", "eq")),
        ({"a": {"gte": True}}, ("a", "gte")),
        ({"a": {"in": 5}}, ("a", "in")),
        ({"a": {"in": [[]]}}, ("a", "in")),
        ({"a": {"exists": 1}}, ("a", "exists")),
        ({"a": {"matches": "(?=x)"}}, ("a", "matches")),
        ({"a": {"matches": "("}}, ("a", "matches")),
        ({"a": {"starts_with": 1}}, ("a", "starts_with")),
        ({"a": {"near": 1}}, ("a", "near")),
        ({"all": {"a": 1}}, ("all",)),
        ({"any": [1]}, ("any", 0)),
        ({"not": [1]}, ("not",)),
        ({"a..b": 1}, ("a..b",)),
    ],
)
def test_what_is_no_condition_is_refused_with_its_place(document: Any, at: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidCondition) as refused:
        parse_condition(document)
    assert [problem.at for problem in refused.value.problems] == [at]


def test_all_problems_of_a_condition_are_told_at_once() -> None:
    with pytest.raises(InvalidCondition) as refused:
        parse_condition({"any": [{"a": {"gte40": 1}}, {"b": {"matches": "("}}], "not": 3})
    assert [problem.at for problem in refused.value.problems] == [
        ("any", 0, "a", "gte40"),
        ("any", 1, "b", "matches"),
        ("not",),
    ]
    assert refused.value.problems[0].allowed.startswith("did you mean `gte`?")


def test_nesting_has_a_bound() -> None:
    document: Any = {"a": 1}
    for _ in range(40):
        document = {"not": document}
    with pytest.raises(InvalidCondition, match="at most 32 levels"):
        parse_condition(document)


def test_the_thresholds_of_a_field_are_the_numbers_it_is_compared_with() -> None:
    condition = parse_condition(
        {"any": [{"engagement": {"gte": 70}}, {"not": {"engagement": {"in": [5, "x"]}}, "fit": 3}]}
    )
    assert thresholds(condition, "engagement") == (5.0, 70.0)
