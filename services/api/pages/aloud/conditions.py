"""Conditions as they are said of one lead or one activity: `its grade is A or B`. Nothing is shortened."""

import re
from typing import Final

from services.api.pages.aloud.sentence import listing, quoted
from shared.agreement.conditions import All, AnyOf, Condition, Not, Scalar, Test

_OPERATORS: Final = {
    "gt": "above {}",
    "gte": "at least {}",
    "lt": "below {}",
    "lte": "at most {}",
}
# Of one and of many.
_VERBS: Final = {
    "contains": ("contains", "contain"),
    "starts_with": ("starts with", "start with"),
    "ends_with": ("ends with", "end with"),
    "matches": ("matches", "match"),
    "has": ("has", "have"),
}
_WORDS: Final = re.compile(r"\(\?i\)\\b\(([^()]+)\)\\b")
_WORD: Final = re.compile(r"[\w -]+")
_OF_ITS_OWN: Final = re.compile(r"[\w. -]+")
_SINGULAR_ENDINGS: Final = ("ss", "us", "is")


def said(condition: Condition) -> str:
    """`its engagement is at least 40 and its grade is A or B, or its engagement is at least 70`."""
    match condition:
        case Test():
            return _test(condition)
        case All(()):
            return "anything holds"
        case AnyOf(()):
            return "nothing ever holds"
        case All(parts):
            return " and ".join(_of_all(parts))
        case AnyOf(parts):
            return ", or ".join(_part(part) for part in parts)
        case Not(Test() as test):
            return _test(test, is_denied=True)
        case Not(part):
            return f"it does not hold that ({said(part)})"


def _of_all(parts: tuple[Condition, ...]) -> list[str]:
    """Bounds of one field that stand side by side share their subject: `its employees are at least 50 and below 90`."""
    told: list[str] = []
    field = None
    for part in parts:
        if isinstance(part, Test) and part.field == field and part.operator in _OPERATORS:
            told.append(_OPERATORS[part.operator].format(_scalar(part.operand)))
        else:
            told.append(_part(part))
        field = part.field if isinstance(part, Test) and part.operator in _OPERATORS else None
    return told


def _part(part: Condition) -> str:
    """One among others: what has an `or` inside stands in parentheses, and so does what has an `and` in an `and`."""
    is_joined = isinstance(part, AnyOf) and len(part.parts) > 1
    has_joined = isinstance(part, All) and any(isinstance(inner, (All, AnyOf)) for inner in part.parts)
    return f"({said(part)})" if is_joined or has_joined else said(part)


def _test(test: Test, *, is_denied: bool = False) -> str:
    field = subject(test.field)
    verb = "are" if _is_plural(test.field) else "is"
    match test.operator:
        case "exists":
            return f"{field} {verb} {'known' if test.operand is not is_denied else 'not known'}"
        case "eq" | "ne":
            is_not = (test.operator == "ne") is not is_denied
            return f"{field} {verb} {'not ' if is_not else ''}{_scalar(test.operand)}"
        case "in" | "not_in":
            return f"{field} {verb} {_among(test.operand, is_not=(test.operator == 'not_in') is not is_denied)}"
        case "contains" | "starts_with" | "ends_with" | "matches":
            return f"{field} {_of_text(test, is_denied=is_denied)}"
        case _:
            words = _OPERATORS[test.operator].format(_scalar(test.operand))
            return f"{field} {verb} {'not ' if is_denied else ''}{words}"


def _of_text(test: Test, *, is_denied: bool) -> str:
    operator, words = _pattern(test.operand) if test.operator == "matches" else (test.operator, _scalar(test.operand))
    (of_one, of_many), is_plural = _VERBS[operator], _is_plural(test.field)
    if is_denied:
        return f"{'do' if is_plural else 'does'} not {of_many} {words}"
    return f"{of_many if is_plural else of_one} {words}"


def _pattern(pattern: str) -> tuple[str, str]:
    """The usual `(?i)\\b(manager|engineer)\\b` as the words that it looks for; any other pattern as it stands.

    With the verb that it takes.
    """
    found = _WORDS.fullmatch(pattern)
    pieces = found[1].split("|") if found else []
    # A bar inside brackets parts nothing.
    if not pieces or any(piece.count("[") != piece.count("]") or not piece or "\\" in piece for piece in pieces):
        return "matches", f"the pattern “{pattern}”"
    words = [piece for piece in pieces if _WORD.fullmatch(piece)]
    patterns = [piece for piece in pieces if piece not in words]
    told = [f"the word {listing(words, 'or')}"] if words else []
    if patterns:
        told.append(f"a word of the form {listing(patterns, 'or')}")
    return "has", ", or ".join(told)


def _among(values: tuple[Scalar, ...], *, is_not: bool) -> str:
    if not values:
        return "anything or not known" if is_not else "one of none, which never holds"
    listed = listing([_scalar(value) for value in values], "or")
    return f"not {listed}" if is_not else listed


def subject(field: str) -> str:
    """`its email domain`."""
    return f"its {field.replace('_', ' ')}" if _OF_ITS_OWN.fullmatch(field) else f"its “{field}”"


def _is_plural(field: str) -> bool:
    return field.endswith("s") and not field.endswith(_SINGULAR_ENDINGS)


def _scalar(value: Scalar) -> str:
    """A text that could be taken for a number or a truth stands in quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"“{value}”" if _could_be_another(value) else quoted(value)
    return f"{value:,}" if abs(value) < 1e15 else str(value)


def _could_be_another(text: str) -> bool:
    return text.lower() in ("true", "false", "known") or any(c.isdigit() for c in text)
