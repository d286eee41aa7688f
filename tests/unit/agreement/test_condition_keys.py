"""A condition is found again by its key, however it was written."""

import pytest

from shared.agreement.condition_keys import key_of
from shared.agreement.values import condition

SAME = [
    ({"grade": "A"}, {"grade": {"eq": "A"}}),
    ({"grade": {"in": ["A", "B"]}}, {"grade": {"in": ["B", "A"]}}),
    ({"grade": "A", "owner": "ann"}, {"all": [{"owner": "ann"}, {"grade": "A"}]}),
    ({"any": [{"grade": "A"}, {"fit": {"gte": 3}}]}, {"any": [{"fit": {"gte": 3}}, {"all": [{"grade": "A"}]}]}),
]
DIFFERENT = [
    {"grade": "A"},
    {"grade": "B"},
    {"grade": {"ne": "A"}},
    {"not": {"grade": "A"}},
    {"grade": {"in": ["A", "B"]}},
    {"grade": {"not_in": ["A", "B"]}},
    {"fit": 1},
    {"fit": True},
    {"fit": "1"},
    {"fit": {"exists": True}},
    {"grade": "A", "fit": 1},
    {"any": [{"grade": "A"}, {"fit": 1}]},
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_a_condition_has_one_key_however_it_is_written(one: object, other: object) -> None:
    assert key_of(condition(one)) == key_of(condition(other))


def test_different_conditions_have_different_keys() -> None:
    assert len({key_of(condition(written)) for written in DIFFERENT}) == len(DIFFERENT)


def test_a_key_is_the_same_in_every_release() -> None:
    stored = "93ece98aa26a88d015d34a8eadff65d3558896f078f4d430cac4e252e7f6909f"
    assert key_of(condition({"grade": {"in": ["A", "B"]}, "not": {"owner": "ann"}})) == stored
