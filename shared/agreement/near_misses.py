"""Words in conditions that are most likely misspelt. They could be a profile's own, so they are only warned of."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from shared.agreement.conditions import Condition, Test, tests_of
from shared.agreement.document import Accord
from shared.events.lifecycle import Stage

# What every lead has, whatever its profile holds (compiled.py "facts").
LEAD_FIELDS: Final = ("engagement", "fit", "grade", "stage", "owner", "source", "campaign", "first_source")
DERIVED_FIELDS: Final = ("email_domain", "company_domain")
# Closer than `state` is to `stage`, which are both fields that people have; letters that changed places count as close.
CUTOFF: Final = 0.85
_WORDS: Final = {"grade": ("A", "B", "C", "D"), "stage": tuple(stage.value for stage in Stage)}


def near_misses(accord: Accord) -> Iterator[str]:
    """Fields and values that are nearly, but not, those that every lead has."""
    for path, condition in conditions_on_leads(accord):
        for test in tests_of(condition):
            yield from _field(path, test, (*LEAD_FIELDS, *DERIVED_FIELDS))
            yield from _values(path, test)
    for rule in accord.scoring.fit.rules:
        for test in tests_of(rule.where):
            yield from _field(f"scoring.fit.rules.{rule.id}.where", test, DERIVED_FIELDS)
    sticky = accord.routing.sticky
    if sticky is not None:
        yield from _field("routing.sticky", Test(sticky, "exists", True), DERIVED_FIELDS)


def conditions_on_leads(accord: Accord) -> Iterator[tuple[str, Condition | None]]:
    """Every condition that is asked of a lead, and where it stands."""
    yield "stages.mql", accord.stages.mql
    for index, rule in enumerate(accord.routing.rules):
        yield f"routing.rules[{index}].when", rule.when
    for clock in accord.sla.clocks:
        yield f"sla.clocks.{clock.id}.when", clock.when
    for promise in accord.sla.promises:
        yield f"sla.promises.{promise.id}.when", promise.when


def _field(path: str, test: Test, known: tuple[str, ...]) -> Iterator[str]:
    field = test.field.casefold()
    swapped = [name for name in known if sorted(name) == sorted(field)]
    close = swapped or get_close_matches(field, known, n=1, cutoff=CUTOFF)
    if close and test.field not in known:
        yield f"{path}: {test.field} is taken for a field of the profile; did you mean `{close[0]}`?"


def _values(path: str, test: Test) -> Iterator[str]:
    known = _WORDS.get(test.field)
    operands = test.operand if isinstance(test.operand, tuple) else (test.operand,)
    for operand in operands if known is not None and test.operator in ("eq", "ne", "in", "not_in") else ():
        if str(operand).casefold() not in {word.casefold() for word in known or ()}:
            yield f"{path}: no {test.field} is {operand}; there are {', '.join(known or ())}"
