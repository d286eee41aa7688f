"""Values of an accord as people read them: durations, shares, hours, conditions."""

from datetime import date, timedelta
from enum import Enum
from typing import Any, Final

from shared.agreement.calendar import OpenRange
from shared.agreement.conditions import All, AnyOf, Condition, Not, Test

_UNITS: Final = ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "m"))
_OPERATORS: Final = {
    "eq": "is {}",
    "ne": "is not {}",
    "gt": "above {}",
    "gte": "at least {}",
    "lt": "below {}",
    "lte": "at most {}",
    "in": "is {}",
    "not_in": "is not {}",
    "contains": "contains {}",
    "starts_with": "starts with {}",
    "ends_with": "ends with {}",
    "matches": "matches {}",
}
SHOWN_MAX: Final = 12


def in_words(value: Any) -> str:
    """A value of the document: `30 d`, `75%`, `09:00-17:30`, `engagement at least 40 and grade is A or B`."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return _duration(value)
        case float():
            # Every float of a document is a share; 12 digits keep 57.0% from being 56.99999999999999%.
            return f"{value * 100:.12g}%"
        case OpenRange():
            return f"{_time(value.from_)}-{_time(value.to)}"
        case date():
            return value.isoformat()
        case Enum():
            return str(value.value)
        case list() | tuple():
            return enumeration([in_words(item) for item in value])
        case Test() | All() | AnyOf() | Not():
            return condition_in_words(value)
        case _:
            return str(value)


def enumeration(words: list[str], joint: str = ", ", none: str = "none") -> str:
    """At most a dozen words, and how many more there are."""
    if len(words) > SHOWN_MAX:
        words = [*words[:SHOWN_MAX], f"{len(words) - SHOWN_MAX:,} more"]
    return joint.join(words) or none


def condition_in_words(condition: Condition) -> str:
    """`(engagement at least 40 and grade is A or B) or engagement at least 70`; parentheses where they are needed."""
    match condition:
        case Test():
            return _test(condition)
        case All(()):
            return "always"
        case AnyOf(()):
            return "never"
        case All(parts):
            return " and ".join(_part(part) for part in parts)
        case AnyOf(parts):
            return " or ".join(_part(part) for part in parts)
        case Not(part):
            return f"not ({condition_in_words(part)})"


def _part(part: Condition) -> str:
    """A part among others. `is A or B` stands in quotes of its own words, so only whole conditions need parentheses."""
    is_joined = isinstance(part, (All, AnyOf)) and len(part.parts) > 1
    words = condition_in_words(part)
    return f"({words})" if is_joined else words


def _test(test: Test) -> str:
    if test.operator == "exists":
        return f"{test.field} is {'known' if test.operand else 'missing'}"
    if test.operator in ("in", "not_in"):
        joint = " or " if test.operator == "in" else " nor "
        operand = enumeration([_scalar(value) for value in test.operand], joint, "nothing")
        return f"{test.field} {_OPERATORS[test.operator].format(operand)}"
    return f"{test.field} {_OPERATORS[test.operator].format(_scalar(test.operand))}"


def _scalar(value: Any) -> str:
    """A text that could be taken for a number, a truth or several words stands in quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if value and all(c.isalpha() or c in "/._@-" for c in value) else f"'{value}'"
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def _duration(span: timedelta) -> str:
    """In the largest unit that it is a whole number of; in seconds otherwise."""
    for unit, name in _UNITS:
        if span and not span % unit:
            return f"{span // unit} {name}"
    return f"{span // timedelta(seconds=1)} s"


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
