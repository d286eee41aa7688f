"""Parsing of conditions from a document's plain values, with every problem found at once."""

from collections.abc import Mapping
from typing import Any, Final

from shared.agreement.conditions import CHECKS, All, AnyOf, Condition, Not, Test
from shared.agreement.patterns import pattern_problem
from shared.agreement.problems import Location, ParseProblem, did_you_mean, shown

CONDITION_DEPTH_MAX: Final = 32

ORDERED: Final = frozenset({"gt", "gte", "lt", "lte"})
TEXT_ONLY: Final = frozenset({"starts_with", "ends_with", "matches"})


class InvalidCondition(ValueError):
    """The condition has problems; each says where below the condition."""

    def __init__(self, problems: list[ParseProblem]) -> None:
        super().__init__("; ".join(f"found {problem.found}, allowed {problem.allowed}" for problem in problems))
        self.problems = problems


def parse_condition(document: Any) -> Condition:
    """The condition that these plain values spell. Raises InvalidCondition with all problems."""
    parser = _Parser()
    condition = parser.condition(document, (), 0)
    if parser.problems:
        raise InvalidCondition(parser.problems)
    return condition


class _Parser:
    def __init__(self) -> None:
        self.problems: list[ParseProblem] = []

    def refuse(self, at: Location, found: Any, allowed: str) -> All:
        self.problems.append(ParseProblem(at, shown(found), allowed))
        return All()

    def condition(self, document: Any, at: Location, depth: int) -> Condition:
        if depth > CONDITION_DEPTH_MAX:
            return self.refuse(at, document, f"at most {CONDITION_DEPTH_MAX} levels of all, any and not")
        if not isinstance(document, Mapping):
            return self.refuse(at, document, "a mapping of field to test, or all, any, not")
        parts: list[Condition] = []
        for key, value in document.items():
            inside = (*at, str(key))
            match key:
                case "all":
                    parts.append(All(self.conditions(value, inside, depth)))
                case "any":
                    parts.append(AnyOf(self.conditions(value, inside, depth)))
                case "not":
                    parts.append(Not(self.condition(value, inside, depth + 1)))
                case _:
                    parts.extend(self.tests(key, value, inside))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def conditions(self, document: Any, at: Location, depth: int) -> tuple[Condition, ...]:
        if not isinstance(document, list):
            self.refuse(at, document, "a list of conditions")
            return ()
        return tuple(self.condition(part, (*at, index), depth + 1) for index, part in enumerate(document))

    def tests(self, field: Any, document: Any, at: Location) -> list[Condition]:
        if not isinstance(field, str) or not field or "" in field.split("."):
            return [self.refuse(at, field, "the name of a field; dots reach inside")]
        if not isinstance(document, Mapping):
            if isinstance(document, list):
                return [self.refuse(at, document, "one value to equal, or {in: [...]}")]
            return [self.test(field, "eq", document, at)]
        if not document:
            return [self.refuse(at, document, f"at least one of {', '.join(CHECKS)}")]
        return [self.test(field, operator, operand, (*at, operator)) for operator, operand in document.items()]

    def test(self, field: str, operator: str, operand: Any, at: Location) -> Condition:
        if operator not in CHECKS:
            return self.refuse(at, operator, did_you_mean(operator, CHECKS) + "one of " + ", ".join(CHECKS))
        allowed = _operand_problem(operator, operand)
        if allowed is not None:
            return self.refuse(at, operand, allowed)
        return Test(field, operator, tuple(operand) if isinstance(operand, list) else operand)


def _operand_problem(operator: str, operand: Any) -> str | None:
    """What this operator allows, if the operand isn't that."""
    if operator in ("in", "not_in"):
        is_fine = isinstance(operand, list) and all(_is_scalar(value) for value in operand)
        return None if is_fine else "a list of texts, numbers, true or false"
    if operator == "exists":
        return None if isinstance(operand, bool) else "true or false"
    if operator in ORDERED:
        return None if _is_scalar(operand) and not isinstance(operand, bool) else "a number or a text"
    if operator in TEXT_ONLY:
        if not isinstance(operand, str):
            return "a text"
        return pattern_problem(operand) if operator == "matches" else None
    return None if _is_scalar(operand) else "a text, a number, true or false (for a missing field: {exists: false})"


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))
