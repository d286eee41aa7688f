"""From text to an Accord: every problem at once, each with its path, its line, what was found and what is allowed."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.agreement.checking import problems_between
from shared.agreement.document import Accord
from shared.agreement.problems import (
    DocumentProblem,
    InvalidAccord,
    Location,
    ParseProblem,
    describe_problems,
    did_you_mean,
    path_of,
    shown,
)
from shared.agreement.reading import PROBLEMS_MAX, read_document, read_lines
from shared.agreement.remarks import warnings
from shared.agreement.values import ACTIVITY_PATTERN, CURRENCY_PATTERN, PATTERNS

__all__ = [
    "DocumentProblem",
    "InvalidAccord",
    "default_accord_text",
    "describe_problems",
    "load_accord",
    "read_accord",
    "warnings",
]

_ALLOWED: Final = {
    "int_type": "a whole number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "missing": "this field, which is required",
}
# With what pydantic says of the bound.
_BOUNDS: Final = {
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_too_short": "a text that is not empty",
    "string_too_long": "a text of at most {max_length} characters",
    "too_short": "at least one of them",
    "too_long": "at most {max_length} of them",
}


def load_accord(text: str) -> Accord:
    """The accord that this YAML 1.2 or JSON text spells. Raises InvalidAccord with all of its problems."""
    read = read_document(text)
    accord, problems = _validate(read.values)
    if accord is not None and not problems and not read.problems:
        return accord
    lines = read.lines or read_lines(text)
    located = [DocumentProblem(path_of(at), _line_of(at, lines), found, allowed) for at, found, allowed in problems]
    found_all = [*read.problems, *located]
    raise InvalidAccord(sorted(found_all, key=lambda problem: problem.line or 0)[:PROBLEMS_MAX])


def read_accord(document: Any) -> Accord:
    """The accord of plain values that were no text of their own; its problems have no lines."""
    accord, problems = _validate(document)
    if accord is None or problems:
        raise InvalidAccord([DocumentProblem(path_of(at), None, found, allowed) for at, found, allowed in problems])
    return accord


@cache
def default_accord_text() -> str:
    """The packaged accord that a new folder starts with."""
    return files("shared.agreement").joinpath("default.yaml").read_text(encoding="utf-8")


def _validate(document: Any) -> tuple[Accord | None, list[ParseProblem]]:
    problems: list[ParseProblem] = []
    accord = None
    try:
        accord = Accord.model_validate(document)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            # Nobody reads more of them, and looking for what was meant takes its time with each.
            if len(problems) < PROBLEMS_MAX:
                problems.extend(_problems_of(details, document))
    problems.extend(problems_between(document))
    return accord, problems


def _problems_of(details: ErrorDetails, document: Any) -> list[ParseProblem]:
    at, kind = details["loc"], details["type"]
    context: Mapping[str, Any] = details.get("ctx", {})
    if kind == "refused":
        return [ParseProblem((*at, *below.at), below.found, below.allowed) for below in context["problems"]]
    if kind == "extra_forbidden":
        fields = _fields_at(at[:-1])
        allowed = did_you_mean(at[-1], fields) + "one of " + ", ".join(fields)
        return [ParseProblem(at, f"the unknown key {at[-1]}", allowed)]
    if kind in ("literal_error", "enum"):
        return [ParseProblem(at, shown(details["input"]), _one_of(details["input"], str(context["expected"])))]
    found = "nothing" if kind == "missing" else shown(details["input"])
    return [ParseProblem(_without_key_marker(at), found, _allowed(kind, context, details))]


def _allowed(kind: str, context: Mapping[str, Any], details: ErrorDetails) -> str:
    """What pydantic would have taken, in words."""
    if kind == "string_pattern_mismatch":
        return _meant(str(details["input"]), context["pattern"]) + PATTERNS[context["pattern"]]
    if kind == "bool_type":
        return (
            did_you_mean(details["input"], (), {"yes": "true", "on": "true", "no": "false", "off": "false"})
            + _ALLOWED[kind]
        )
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context)
    return _ALLOWED.get(kind) or _lowered(details["msg"])


def _meant(text: str, pattern: str) -> str:
    """The same text as it should be written: `Demo Requested` is demo.requested, `usd` is USD."""
    written = {ACTIVITY_PATTERN: ".".join(text.lower().split()), CURRENCY_PATTERN: text.strip().upper()}.get(pattern)
    return f"did you mean `{written}`? " if written is not None and re.fullmatch(pattern, written) else ""


def _one_of(found: Any, expected: str) -> str:
    words = [word.strip().strip("'") for word in expected.replace(" or ", ", ").split(",")]
    return (did_you_mean(found, words) if isinstance(found, str) else "") + "one of " + ", ".join(words)


def _without_key_marker(at: Location) -> Location:
    """Pydantic marks a problem of a key itself by a last part `[key]`."""
    return at[:-1] if at and at[-1] == "[key]" else at


def _lowered(message: str) -> str:
    return message.removeprefix("Input should be ").removeprefix("Value should ").removesuffix(".")


def _fields_at(at: Location) -> list[str]:
    """The keys that the model at this place of the document knows."""
    kind: Any = Accord
    for part in at:
        kind = _model_in(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields:
            kind = kind.model_fields[str(part)].annotation
        else:
            kind = get_args(kind)[-1] if get_args(kind) else None
    kind = _model_in(kind)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _model_in(kind: Any) -> Any:
    """`Model | None` is about the model."""
    if get_origin(kind) in (list, dict) or not get_args(kind):
        return kind
    return get_args(kind)[0]


def _line_of(at: Location, lines: Mapping[Location, int]) -> int | None:
    """The line of the value, or of what should contain it."""
    while at and at not in lines:
        at = at[:-1]
    return lines.get(at)
