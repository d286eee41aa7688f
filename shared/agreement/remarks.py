"""What is allowed in an accord and still worth saying: likely slips."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from shared.agreement.calendar import FULL_DAY, OpenRange
from shared.agreement.conditions import tests_of
from shared.agreement.document import Accord
from shared.agreement.document_calendar import WEEKDAYS
from shared.agreement.near_misses import conditions_on_leads, near_misses


def warnings(accord: Accord) -> list[str]:
    """Likely slips, in words."""
    slips = (_above_the_cap, _grades_out_of_order, _overlapping_hours, near_misses)
    return [words for slip in slips for words in slip(accord)]


def _above_the_cap(accord: Accord) -> Iterator[str]:
    cap = accord.scoring.engagement.cap
    if cap is None:
        return
    for path, condition in conditions_on_leads(accord):
        for test in tests_of(condition):
            is_number = type(test.operand) is int or type(test.operand) is float
            if test.field != "engagement" or test.operator not in ("gt", "gte", "eq") or not is_number:
                continue
            if test.operand > cap or (test.operator == "gt" and test.operand == cap):
                yield f"{path}: engagement {test.operator} {test.operand} is above the cap {cap}: it never holds"


def _grades_out_of_order(accord: Accord) -> Iterator[str]:
    thresholds = [(grade, at) for grade, at in accord.scoring.fit.grades if at is not None]
    for (better, high), (worse, low) in pairwise(thresholds):
        if low >= high:
            yield f"scoring.fit.grades: {worse} ({low}) isn't below {better} ({high}): nobody gets {worse}"


def _overlapping_hours(accord: Accord) -> Iterator[str]:
    for weekday in WEEKDAYS:
        if _overlap(getattr(accord.calendar.hours, weekday)):
            yield f"calendar.hours.{weekday}: ranges overlap; what they share counts once"


def _overlap(ranges: Iterable[OpenRange]) -> bool:
    ordered = sorted((open_.from_, open_.to if open_.to > open_.from_ else open_.to + FULL_DAY) for open_ in ranges)
    return any(first[1] > second[0] for first, second in pairwise(ordered))
