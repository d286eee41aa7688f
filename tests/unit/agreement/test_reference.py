"""docs/accord.md is true: every field stands in it, every example loads, and every number in it comes out so."""

import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from agreement_builders import MINIMAL, models
from line_builders import accords_of, activity, after, profile
from ruamel.yaml import YAML

from services.scoring.model import Input, fold
from shared.agreement.compiled import compile_accord
from shared.agreement.conditions import CHECKS
from shared.agreement.decay import worth
from shared.agreement.document import Accord
from shared.agreement.document_stages import FREE_MAIL
from shared.agreement.loading import load_accord, read_accord

PAGE = (Path(__file__).parents[3] / "docs" / "accord.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
MODELS = {kind.__name__: kind for kind in models(Accord)}


def rows(mark: str) -> Iterator[list[str]]:
    """The cells of the table below this mark."""
    _, _, below = PAGE.partition(f"<!-- {mark} -->\n")
    assert below, mark
    for line in below.splitlines()[2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def document(example: str) -> Any:
    return YAML(typ="safe", pure=True).load(example)


def completed(part: Any, whole: Any) -> Any:
    """The example, in a whole document."""
    if not isinstance(part, dict) or not isinstance(whole, dict):
        return part
    return {**whole, **{key: completed(value, whole.get(key)) for key, value in part.items()}}


def example_with(words: str) -> Accord:
    (found,) = [example for example in EXAMPLES if words in example]
    return read_accord(completed(document(found), load_accord(MINIMAL).as_written()))


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_loads(example: str) -> None:
    whole = completed(document(example), load_accord(MINIMAL).as_written())
    compile_accord(read_accord(whole), 1)


@pytest.mark.parametrize("name", MODELS)
def test_every_field_is_explained_and_no_other(name: str) -> None:
    explained = {cells[0].strip("` "): cells[1] == "required" for cells in rows(f"fields of {name}")}
    assert explained == {field: info.is_required() for field, info in MODELS[name].model_fields.items()}


def test_every_field_stands_in_an_example() -> None:
    used: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            used.update(value)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            collect(item)

    for example in EXAMPLES:
        collect(document(example))
    fields = {field for kind in MODELS.values() for field in kind.model_fields}
    assert fields - used <= {"currency", "wed", "thu", "sat"}


def test_every_test_of_a_condition_is_explained() -> None:
    assert [cells[0].strip("` ") for cells in rows("operators")] == list(CHECKS)


def test_the_worth_of_the_demo_decays_as_the_table_says() -> None:
    (rule,) = [rule for rule in example_with("id: demo").scoring.engagement.rules if rule.id == "demo"]
    for days, expected in rows("decay of demo"):
        when = after(days=int(days))
        assert worth(rule.points, after(), rule.half_life, when) == pytest.approx(float(expected), abs=5e-4)


def test_the_limit_of_the_survey_withholds_as_the_table_says() -> None:
    accord = compile_accord(example_with("id: survey"), 1)
    table = list(rows("limit of survey"))
    items = [activity("survey.completed", after(days=int(day))) for day, *_ in table]
    decisions = fold([(item.id, item, item.received_at) for item in items], accords_of(accord))
    assert [decision.grants[0]["points"] for decision in decisions] == [int(granted) for _, granted, _ in table]


def test_a_rescore_gives_what_the_table_says() -> None:
    before = example_with("id: survey").as_written()
    changed = deepcopy(before)
    rule = next(rule for rule in changed["scoring"]["engagement"]["rules"] if rule["id"] == "survey")
    rule.update(points=20, at_most={"points": 40, "per": "90d"})
    for (_, first, second, engagement), written in zip(rows("rescore"), (before, changed), strict=True):
        accord = read_accord(written)
        surveys: list[Input] = [activity("survey.completed", after(days=days)) for days in (0, 10)]
        asked = profile(after(days=20), country="NO")
        items = [(item.id, item, item.received_at) for item in (*surveys, asked)]
        decisions = list(fold(items, accords_of(compile_accord(accord, 1))))
        assert decisions[-1].state.engagement == pytest.approx(float(engagement), abs=1e-3)
        granted = [decision.grants[0]["points"] for decision in decisions[:2]]
        half_life = timedelta(days=30)
        worths = [worth(granted[n], after(days=10 * n), half_life, after(days=20)) for n in (0, 1)]
        assert worths == pytest.approx([float(first), float(second)], abs=5e-4)


def test_the_list_of_free_mail_is_the_default() -> None:
    line = PAGE.partition("<!-- free mail -->\n")[2].splitlines()[0]
    assert re.findall(r"`([^`]+)`", line) == FREE_MAIL
