"""A small accord, and what is wrong with others."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest

from shared.agreement.compiled import compile_accord
from shared.agreement.conditions import Condition
from shared.agreement.document_base import Part
from shared.agreement.loading import (
    DocumentProblem,
    InvalidAccord,
    default_accord_text,
    load_accord,
    read_accord,
)

MINIMAL = """\
accord: 1
name: Small
calendar:
  timezone: Europe/Oslo
  hours: {mon: ["09:00-17:00"]}
scoring: {}
stages:
  mql: {engagement: {gte: 40}}
"""


def problems_of(text: str) -> list[tuple[str, int | None]]:
    with pytest.raises(InvalidAccord) as refused:
        load_accord(text)
    return [(problem.path, problem.line) for problem in refused.value.problems]


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield from places(item, (*at, key))


def problems_left(document: Any) -> list[DocumentProblem]:
    """None for a document that loads and compiles."""
    try:
        compile_accord(read_accord(document), 2)
    except InvalidAccord as refused:
        return refused.problems or [DocumentProblem("", None, "", "")]
    return []


DEFAULT = load_accord(default_accord_text()).model_dump(mode="json")
ODD_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    5,
    1.5,
    10**15,
    "",
    "x",
    "40%",
    "3d",
    "{brace}",
    [],
    [[]],
    [1],
    {},
    {"a": 1},
    {"": []},
]


def models(kind: type[Part]) -> Iterator[type[Part]]:
    yield kind
    for field in kind.model_fields.values():
        for inner in parts_in(field.annotation):
            yield from models(inner)


def parts_in(annotation: Any) -> Iterator[type[Part]]:
    if annotation == Condition:
        return
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    elif get_origin(annotation) in (list, dict, Union, UnionType) or hasattr(annotation, "__metadata__"):
        for argument in get_args(annotation):
            yield from parts_in(argument)
