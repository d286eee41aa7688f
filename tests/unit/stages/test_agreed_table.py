"""The table of transitions as the accord's reference has it, read as data, beside what the model does: every action in
every stage, with every reason; and the same table as docs/stages.md spells it out."""

from pathlib import Path
from typing import Final

import pytest
from line_builders import ADA, after, example_accord, sales_action
from stages_reference import ROWS, reference

from services.stages.model import Decision, Routing, State, apply
from shared.events.lifecycle import IgnoredReason, LeadQualified, SalesRecorded, Stage, StageChanged, TransitionReason
from shared.events.sales import Action

PAGE: Final = Path(__file__).parents[3] / "docs" / "stages.md"
ACCORD: Final = example_accord()
REASONS: Final = (None, "because", *ACCORD.rejection_reasons)


def decided(action: str, stage: str, reason: str | None) -> Decision:
    state = State(ADA, stage=Stage(stage), version=3, entered_at=after(), created_at=after(), owner="rep@sales.example")
    event = sales_action(action, after(hours=1), reason=reason, owner="new@sales.example")
    return apply(state, event, received_at=event.received_at, accord=ACCORD, routing=Routing())


def entered(decision: Decision) -> list[str] | IgnoredReason:
    if decision.ignored is not None:
        return decision.ignored
    return [payload.to_stage.value for payload in decision.payloads if isinstance(payload, StageChanged)]


def test_the_copy_has_every_action() -> None:
    assert {*ROWS} == {*Action}


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("action", Action)
def test_every_action_in_every_stage_is_decided_as_agreed(action: Action, stage: Stage) -> None:
    for reason in REASONS:
        decision = decided(action, stage, reason)
        assert entered(decision) == reference(action, stage, ACCORD.document.stages.rejection_reasons, reason), reason
        check_told(decision, stage)


def check_told(decision: Decision, stage: Stage) -> None:
    """What must hold of every decision, whatever the table says."""
    changes = [payload for payload in decision.payloads if isinstance(payload, StageChanged)]
    assert not any(isinstance(payload, LeadQualified) for payload in decision.payloads)
    assert [change.version for change in changes] == list(range(4, 4 + len(changes)))
    assert [change.from_stage for change in changes] == [stage, *(change.to_stage for change in changes)][:-1]
    assert [change.implied for change in changes] == ([True] * len(changes))[:-1] + [False][: len(changes)]
    assert {change.why for change in changes if change.implied} <= {TransitionReason.IMPLIED}
    assert {change.why for change in changes if not change.implied} <= {TransitionReason.SALES}
    assert decision.state.stage == (changes[-1].to_stage if changes else stage)
    assert decision.state.version == 3 + len(changes)
    recorded = [payload for payload in decision.payloads if isinstance(payload, SalesRecorded)]
    assert [payload.ignored for payload in recorded] in ([], [decision.ignored])
    if decision.ignored is not None:
        assert len(decision.payloads) == 1
        assert decision.state.owner == "rep@sales.example"


def page_table() -> tuple[list[str], list[list[str]]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    start = next(index for index, row in enumerate(cells) if row[0] == "action")
    return cells[start][1:], [row for row in cells[start + 2 :] if len(row) == len(cells[start])]


def test_docs_spell_out_what_is_decided() -> None:
    stages, rows = page_table()
    assert stages == [*Stage]
    assert {row[0] for row in rows} == {action for action, (_, to) in ROWS.items() if not to.startswith("no change")}
    for action, *cells in rows:
        for stage, cell in zip(stages, cells, strict=True):
            for reason, to in ACCORD.document.stages.rejection_reasons.items():
                found = entered(decided(action, stage, reason))
                shown = found.removesuffix(" in this stage") if isinstance(found, IgnoredReason) else " ".join(found)
                assert shown == cell.replace("(reason)", to), (action, stage)
