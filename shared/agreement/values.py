"""The small values of the document, read strictly: durations, percents, counts, hours, days, zones, conditions."""

import re
from datetime import date, timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from shared.agreement import value_schemas as schemas
from shared.agreement.calendar import FULL_DAY, OpenRange
from shared.agreement.condition_parsing import InvalidCondition, parse_condition
from shared.agreement.conditions import Condition
from shared.agreement.problems import ParseProblem, did_you_mean, shown

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DURATION_MAX: Final = timedelta(days=3660)
POINTS_MAX: Final = 1_000_000
COUNT_MAX: Final = 1_000_000_000
PERCENT_MAX: Final = 10_000.0

_DURATION = re.compile(r"([0-9]{1,9})([smhdw])")
_IN_WORDS = re.compile(r"([0-9]{1,9})\s*(s|sec|secs|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)")
_PERCENT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)%")
_NUMBER = re.compile(r"[0-9]{1,4}")
_RANGE = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")
_CAPACITY = re.compile(r"([0-9]{1,6})/d")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def refusal(value: Any, allowed: str) -> PydanticCustomError:
    """An error that says what is allowed; loading turns it into a DocumentProblem."""
    return refusals([ParseProblem((), shown(value), allowed)])


def refusals(problems: list[ParseProblem]) -> PydanticCustomError:
    """Several problems below one field, as one error."""
    # The message goes into the context: pydantic reads a message as a template with braces.
    return PydanticCustomError("refused", "{allowed}", {"allowed": problems[0].allowed, "problems": problems})


def form(value: Any) -> int:
    """The form of the document: 1 is the only one there is."""
    if type(value) is not int or value != 1:
        raise refusal(value, "1, the only form there is")
    return value


def duration(value: Any) -> timedelta:
    """`<n>s|m|h|d|w`."""
    allowed = "a duration such as 30s, 45m, 8h, 14d or 2w"
    match_ = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match_ is None:
        raise refusal(value, _meant_duration(value) + allowed)
    span = timedelta(**{UNITS[match_[2]]: int(match_[1])})
    if span > DURATION_MAX:
        raise refusal(value, f"{allowed}, of at most {DURATION_MAX.days}d")
    return span


def _meant_duration(value: Any) -> str:
    """`8 hours` and `8H` are near misses of `8h`; months are none of them, for they have no length."""
    words = _IN_WORDS.fullmatch(value.lower()) if isinstance(value, str) else None
    meant = f"{words[1]}{words[2][0]}" if words is not None else value
    return f"did you mean `{meant}`? " if meant != value else ""


def positive_duration(value: Any) -> timedelta:
    """A duration longer than nothing."""
    span = duration(value)
    if not span:
        raise refusal(value, "a duration longer than 0, such as 8h or 14d")
    return span


def half_life(value: Any) -> timedelta | None:
    """A duration, or `never` for points that don't decay."""
    if value == "never":
        return None
    try:
        return positive_duration(value)
    except PydanticCustomError:
        hint = _meant_duration(value) or did_you_mean(value, ["never"])
        raise refusal(value, f"{hint}a duration longer than 0, such as 30d, or never") from None


def percent(value: Any) -> float:
    """`75%` is 0.75."""
    match_ = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match_ is None or float(match_[1]) > PERCENT_MAX:
        is_count = type(value) is int and 0 <= value <= PERCENT_MAX
        hint = f"did you mean `{value}%`? " if is_count or _NUMBER.fullmatch(str(value).strip()) else ""
        raise refusal(value, f"{hint}a percentage such as 75%")
    return float(match_[1]) / 100


def positive_percent(value: Any) -> float:
    """A percentage above 0%."""
    share = percent(value)
    if not share:
        raise refusal(value, "a percentage above 0%, such as 75%")
    return share


def target(value: Any) -> int | float:
    """A count as an int, or a percentage as a float."""
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return percent(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= COUNT_MAX:
        raise refusal(value, "a count such as 120, or a percentage such as 40%")
    return value


def open_range(value: Any) -> OpenRange:
    """`09:00-17:30`; `22:00-06:00` ends on the next day; `24:00` is the end of a day."""
    match_ = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match_ is None:
        raise refusal(value, 'a range of hours such as "09:00-17:30"')
    from_hour, from_minute, to_hour, to_minute = (int(group) for group in match_.groups())
    from_, to = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if from_minute > 59 or to_minute > 59 or from_ >= FULL_DAY or to > FULL_DAY:
        raise refusal(value, "hours from 00:00 to 24:00")
    if from_ == to:
        raise refusal(value, 'a range that is not empty ("00:00-24:00" is a whole day)')
    return OpenRange(from_, to)


def day(value: Any) -> date:
    """`2026-12-24`."""
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise refusal(value, "a date such as 2026-12-24")


def zone(value: Any) -> str:
    """The name of an IANA time zone."""
    allowed = "an IANA time zone such as America/New_York"
    if not isinstance(value, str) or not value:
        raise refusal(value, allowed)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zones = available_timezones()
        cities = {name.rpartition("/")[2].replace("_", " "): name for name in sorted(zones) if "/" in name}
        raise refusal(value, did_you_mean(value, zones, cities) + allowed) from None
    return value


def capacity(value: Any) -> int:
    """`20/d`: leads per calendar day."""
    match_ = _CAPACITY.fullmatch(value) if isinstance(value, str) else None
    if match_ is None:
        raise refusal(value, "leads per calendar day such as 20/d")
    return int(match_[1])


def condition(value: Any) -> Condition:
    """A condition; all its problems at once."""
    try:
        return parse_condition(value)
    except InvalidCondition as error:
        raise refusals(error.problems) from None


Form = Annotated[int, PlainValidator(form), WithJsonSchema(schemas.FORM)]
Duration = Annotated[timedelta, PlainValidator(duration), WithJsonSchema(schemas.DURATION)]
PositiveDuration = Annotated[timedelta, PlainValidator(positive_duration), WithJsonSchema(schemas.POSITIVE_DURATION)]
HalfLife = Annotated[timedelta | None, PlainValidator(half_life), WithJsonSchema(schemas.HALF_LIFE)]
Share = Annotated[float, PlainValidator(positive_percent), WithJsonSchema(schemas.PERCENT)]
Target = Annotated[int | float, PlainValidator(target), WithJsonSchema(schemas.TARGET)]
Range = Annotated[OpenRange, PlainValidator(open_range), WithJsonSchema(schemas.RANGE)]
Day = Annotated[date, PlainValidator(day), WithJsonSchema(schemas.DAY)]
Zone = Annotated[str, PlainValidator(zone), WithJsonSchema(schemas.ZONE)]
Capacity = Annotated[int, PlainValidator(capacity), WithJsonSchema(schemas.CAPACITY)]
When = Annotated[Condition, PlainValidator(condition), WithJsonSchema(schemas.CONDITION_MARK)]
Points = Annotated[int, Field(ge=-POINTS_MAX, le=POINTS_MAX)]
NAME_PATTERN: Final = r"^\S(?:[^\r\n]*\S)?$"
ACTIVITY_PATTERN: Final = r"^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$"
CURRENCY_PATTERN: Final = r"^[A-Z]{3}$"
# What each of them allows, in words.
PATTERNS: Final = {
    NAME_PATTERN: "a name on one line, without blanks at its ends",
    ACTIVITY_PATTERN: "an activity in small letters with dots between, such as whitepaper.downloaded",
    CURRENCY_PATTERN: "a currency's three capitals, such as USD",
}
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NAME_PATTERN)]
ActivityType = Annotated[str, StringConstraints(max_length=200, pattern=ACTIVITY_PATTERN)]
Currency = Annotated[str, StringConstraints(pattern=CURRENCY_PATTERN)]
