"""docs/stages.md: its worked example happens as told, and it names every reason."""

import re
from collections.abc import Iterable
from pathlib import Path

from agreement_builders import MINIMAL
from routing_builders import assigned, qualify

from services.stages.model import (
    Absence,
    Routing,
)
from shared.agreement.compiled import CompiledAccord, compile_accord
from shared.agreement.loading import load_accord
from shared.events.lifecycle import (
    AssignmentReason,
    IgnoredReason,
    PassedOverReason,
    TransitionReason,
)

PAGE = (Path(__file__).parents[3] / "docs" / "stages.md").read_text()


def example() -> tuple[CompiledAccord, list[list[str]]]:
    written = re.search(r"```yaml\n(teams:.*?)```", PAGE, re.DOTALL)
    assert written
    lines = [f"  {line}" for line in (*written[1].splitlines(), "rules: [{team: enterprise}]")]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\| \d .*\|$", PAGE, re.M)]
    return compile_accord(load_accord("\n".join([MINIMAL, "routing:", *lines])), 1), rows


def test_the_worked_example_is_what_happens() -> None:
    accord, rows = example()
    assert len(rows) == 9
    routing = Routing()
    for number, company, *expected in rows:
        absences = {"linus": Absence()} if 5 <= int(number) <= 7 else {}
        told = assigned(decision := qualify(accord, routing._replace(absences=absences), number, company=company))
        routing = decision.routing
        passed_over = ", ".join(f"{passed.owner} {passed.why}" for passed in told.passed_over)
        turn = "" if told.turn is None else str(told.turn)
        assert [told.owner, told.why, turn, passed_over] == expected, number


def test_the_page_names_every_reason() -> None:
    def values(*kinds: Iterable[str]) -> set[str]:
        return {str(reason) for kind in kinds for reason in kind}

    named = set(re.findall(r"`([^`]+)`", PAGE))
    reasons = values(IgnoredReason, AssignmentReason, TransitionReason, PassedOverReason)
    assert reasons <= named, sorted(reasons - named)
