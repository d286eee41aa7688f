"""Conditions: the tree of a `where` or `when`, and its compilation to closures. Parsing: condition_parsing.py."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from shared.agreement.patterns import compile_pattern
from shared.agreement.rules import Facts, Predicate

Scalar = str | int | float | bool
# What a field that is missing (or null) satisfies: `exists: false`, `ne` and `not_in`, nothing else.
HOLDS_WHEN_MISSING: Final = frozenset({"ne", "not_in"})
# Answers of a pattern are kept for texts up to this length: titles repeat, essays don't.
CACHED_TEXT_LENGTH_MAX: Final = 200
CACHED_TEXTS_MAX: Final = 2048


@dataclass(frozen=True, slots=True)
class Test:
    """One test of one field."""

    field: str
    operator: str
    operand: Any


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; without parts it holds."""

    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; without parts it doesn't hold."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part doesn't hold."""

    part: "Condition"


Condition = Test | All | AnyOf | Not
Check = Callable[[Any], bool]


def always(_: Facts) -> bool:
    """The condition of a rule without one."""
    return True


def in_one_order(condition: Condition) -> Condition:
    """The same condition however it was written: parts, and values of lists, have no order of their own."""
    match condition:
        case Test(field, "in" | "not_in" as operator, operand):
            return Test(field, operator, tuple(sorted(operand, key=repr)))
        case All(parts):
            return All(tuple(sorted(map(in_one_order, parts), key=repr)))
        case AnyOf(parts):
            return AnyOf(tuple(sorted(map(in_one_order, parts), key=repr)))
        case Not(part):
            return Not(in_one_order(part))
        case _:
            return condition


def compile_condition(condition: Condition | None) -> Predicate:
    """A closure that says whether the condition holds on a mapping of facts."""
    match condition:
        case None:
            return always
        case Test():
            return _compile_test(condition)
        case All(parts):
            return _compile_all(tuple(compile_condition(part) for part in parts))
        case AnyOf(parts):
            return _compile_any(tuple(compile_condition(part) for part in parts))
        case Not(part):
            holds = compile_condition(part)
            return lambda facts: not holds(facts)


def tests_of(condition: Condition | None) -> Iterator[Test]:
    """Every test of the condition, wherever it stands."""
    match condition:
        case Test():
            yield condition
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from tests_of(part)
        case Not(part):
            yield from tests_of(part)


def thresholds(condition: Condition | None, field: str) -> tuple[float, ...]:
    """The numbers that the condition compares this field with, ascending: between them its truth can't change."""
    found: set[float] = set()
    for test in tests_of(condition):
        if test.field == field:
            operands = test.operand if isinstance(test.operand, tuple) else (test.operand,)
            found.update(float(value) for value in operands if _is_number(value))
    return tuple(sorted(found))


def _compile_all(parts: tuple[Predicate, ...]) -> Predicate:
    match parts:
        case ():
            return always
        case (only,):
            return only
        case (first, second):
            return lambda facts: first(facts) and second(facts)

    def holds(facts: Facts) -> bool:
        # A plain loop: all() over a generator costs three times as much.
        for part in parts:
            if not part(facts):
                return False
        return True

    return holds


def _compile_any(parts: tuple[Predicate, ...]) -> Predicate:
    if len(parts) == 1:
        return parts[0]

    def holds(facts: Facts) -> bool:
        # A plain loop: any() over a generator costs three times as much.
        for part in parts:
            if part(facts):
                return True
        return False

    return holds


def _compile_test(test: Test) -> Predicate:
    field, check = test.field, CHECKS[test.operator](test.operand)
    when_missing = test.operator in HOLDS_WHEN_MISSING or (test.operator == "exists" and test.operand is False)
    if "." in field:
        steps = tuple(field.split("."))

        def holds_inside(facts: Facts) -> bool:
            value = _reach(facts, field, steps)
            return when_missing if value is None else check(value)

        return holds_inside

    def holds(facts: Facts) -> bool:
        value = facts.get(field)
        return when_missing if value is None else check(value)

    return holds


def _reach(facts: Facts, field: str, steps: tuple[str, ...]) -> Any:
    """A key that itself contains the dots goes before the path that they spell."""
    value: Any = facts.get(field)
    if value is not None:
        return value
    value = facts
    for step in steps:
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _is_number(value: Any) -> bool:
    # A type test, not isinstance: a bool is no number here.
    return type(value) is int or type(value) is float


def _equals(wanted: Scalar) -> Check:
    if isinstance(wanted, str):
        folded = wanted.casefold()
        return lambda value: isinstance(value, str) and value.casefold() == folded
    if isinstance(wanted, bool):
        return lambda value: value is wanted
    return lambda value: (type(value) is int or type(value) is float) and value == wanted


def _differs(wanted: Scalar) -> Check:
    equal = _equals(wanted)
    return lambda value: not equal(value)


def _is_in(wanted: tuple[Scalar, ...]) -> Check:
    # The kind stands in the key because True == 1 in Python and not in an accord.
    keys = frozenset(_key(value) for value in wanted)
    texts = frozenset(value.casefold() for value in wanted if isinstance(value, str))

    def check(value: Any) -> bool:
        if isinstance(value, str):
            return value.casefold() in texts
        return isinstance(value, (int, float)) and _key(value) in keys

    return check


def _key(value: Scalar) -> tuple[str, Scalar]:
    return ("bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "number", value)


def _is_not_in(wanted: tuple[Scalar, ...]) -> Check:
    among = _is_in(wanted)
    return lambda value: not among(value)


def _ordered(compare_name: str) -> Callable[[Any], Check]:
    def build(bound: str | float) -> Check:
        if isinstance(bound, str):
            compare_text = getattr(bound.casefold(), _MIRRORED[compare_name])
            return lambda value: isinstance(value, str) and compare_text(value.casefold())
        return _NUMBER_CHECKS[compare_name](bound)

    return build


# bound.__le__(value) is value >= bound: the bound text's own method, looked up once, is asked the mirrored question.
_MIRRORED: Final = {"gt": "__lt__", "gte": "__le__", "lt": "__gt__", "lte": "__ge__"}
_NUMBER_CHECKS: Final[dict[str, Callable[[float], Check]]] = {
    "gt": lambda bound: lambda value: (type(value) is int or type(value) is float) and value > bound,
    "gte": lambda bound: lambda value: (type(value) is int or type(value) is float) and value >= bound,
    "lt": lambda bound: lambda value: (type(value) is int or type(value) is float) and value < bound,
    "lte": lambda bound: lambda value: (type(value) is int or type(value) is float) and value <= bound,
}


def _exists(wanted: bool) -> Check:
    return lambda _: wanted


def _contains(wanted: Scalar) -> Check:
    equal = _equals(wanted)
    folded = wanted.casefold() if isinstance(wanted, str) else None

    def check(value: Any) -> bool:
        if isinstance(value, str):
            return folded is not None and folded in value.casefold()
        return isinstance(value, (list, tuple)) and any(equal(element) for element in value)

    return check


def _starts_with(wanted: str) -> Check:
    folded = wanted.casefold()
    return lambda value: isinstance(value, str) and value.casefold().startswith(folded)


def _ends_with(wanted: str) -> Check:
    folded = wanted.casefold()
    return lambda value: isinstance(value, str) and value.casefold().endswith(folded)


def _matches(pattern: str) -> Check:
    search = compile_pattern(pattern)

    def found(text: str) -> bool:
        # A lone surrogate has no UTF-8 form, which RE2 works on.
        return search(text.encode(errors="replace").decode()) is not None

    found_before = lru_cache(maxsize=CACHED_TEXTS_MAX)(found)

    def check(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        return found_before(value) if len(value) <= CACHED_TEXT_LENGTH_MAX else found(value)

    return check


CHECKS: Final[dict[str, Callable[[Any], Check]]] = {
    "eq": _equals,
    "ne": _differs,
    "gt": _ordered("gt"),
    "gte": _ordered("gte"),
    "lt": _ordered("lt"),
    "lte": _ordered("lte"),
    "in": _is_in,
    "not_in": _is_not_in,
    "exists": _exists,
    "contains": _contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "matches": _matches,
}
