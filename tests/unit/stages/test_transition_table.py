"""The whole table of ACCORD.md "Stages": what every action does in every stage."""

from typing import Any

import pytest
from line_builders import ADA, after, example_accord, sales_action

from services.stages.model import Decision, Routing, State, apply
from shared.events.lifecycle import IgnoredReason, SalesRecorded, Stage, StageChanged
from shared.events.sales import Action

ACCORD = example_accord()
BACK, NO = IgnoredReason.BACKWARDS, IgnoredReason.NOT_ALLOWED

# Per action, for a lead in: lead, mql, sal, sql, opportunity, customer, recycled, disqualified. A path names the stages
# that are entered; all but the last are implied.
TABLE = {
    "accepted": ["mql sal", "sal", BACK, BACK, BACK, BACK, "mql sal", NO],
    "rejected": ["mql recycled", "recycled", "recycled", BACK, BACK, BACK, NO, NO],
    "qualified": ["mql sal sql", "sal sql", "sql", BACK, BACK, BACK, "mql sal sql", NO],
    "opportunity.opened": [
        "mql sal sql opportunity",
        "sal sql opportunity",
        "sql opportunity",
        "opportunity",
        BACK,
        BACK,
        "mql sal sql opportunity",
        NO,
    ],
    "won": [
        "mql sal sql opportunity customer",
        "sal sql opportunity customer",
        "sql opportunity customer",
        "opportunity customer",
        "customer",
        BACK,
        "mql sal sql opportunity customer",
        NO,
    ],
    "lost": [
        "mql sal sql opportunity recycled",
        "sal sql opportunity recycled",
        "sql opportunity recycled",
        "opportunity recycled",
        "recycled",
        BACK,
        NO,
        NO,
    ],
    "recycled": ["mql recycled", "recycled", "recycled", "recycled", BACK, BACK, NO, NO],
    "disqualified": [*["disqualified"] * 5, BACK, "disqualified", NO],
    "reopened": [NO, BACK, BACK, BACK, BACK, BACK, NO, "lead"],
}
CELLS = [(action, stage, expected) for action, row in TABLE.items() for stage, expected in zip(Stage, row, strict=True)]


def acting(action: str, stage: Stage, **fields: Any) -> Decision:
    state = State(ADA, stage=stage, version=3, entered_at=after(), created_at=after(), owner="rep@sales.example")
    event = sales_action(action, after(hours=1), **fields)
    return apply(state, event, received_at=event.received_at, accord=ACCORD, routing=Routing())


@pytest.mark.parametrize(("action", "stage", "expected"), CELLS, ids=lambda value: str(value))
def test_every_action_does_in_every_stage_what_the_agreement_says(
    action: str, stage: Stage, expected: str | IgnoredReason
) -> None:
    decision = acting(action, stage, reason="not_ready")
    changes = [payload for payload in decision.payloads if isinstance(payload, StageChanged)]
    if isinstance(expected, IgnoredReason):
        (recorded,) = decision.payloads
        assert isinstance(recorded, SalesRecorded)
        assert (recorded.ignored, decision.ignored) == (expected, expected)
        assert (decision.state.stage, decision.state.version) == (stage, 3)
        return
    path = expected.split()
    assert [change.to_stage for change in changes] == path
    assert [change.from_stage for change in changes] == [stage, *path[:-1]]
    assert [change.implied for change in changes] == [True] * (len(path) - 1) + [False]
    assert [change.version for change in changes] == list(range(4, 4 + len(path)))
    assert changes[-1].action == action
    assert decision.state.stage == path[-1]


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("action", ["contacted", "snoozed", "note"])
def test_a_touch_is_recorded_in_every_stage_and_moves_nothing(action: str, stage: Stage) -> None:
    decision = acting(action, stage, channel="call", note="called back")
    (recorded,) = decision.payloads
    assert isinstance(recorded, SalesRecorded)
    assert (recorded.ignored, recorded.stage, recorded.channel) == (None, stage, "call")
    assert decision.state.stage == stage


@pytest.mark.parametrize("stage", Stage)
def test_a_lead_can_be_handed_over_until_it_is_a_customer_or_disqualified(stage: Stage) -> None:
    decision = acting("assigned", stage, owner="new@sales.example")
    if stage in (Stage.CUSTOMER, Stage.DISQUALIFIED):
        assert decision.ignored is IgnoredReason.NOT_ALLOWED
        assert decision.state.owner == "rep@sales.example"
    else:
        assert (decision.state.owner, decision.state.stage) == ("new@sales.example", stage)


@pytest.mark.parametrize(("reason", "to"), [("no_budget", Stage.RECYCLED), ("competitor", Stage.DISQUALIFIED)])
def test_the_agreement_says_where_a_rejected_lead_goes(reason: str, to: Stage) -> None:
    decision = acting("rejected", Stage.MQL, reason=reason)
    assert decision.state.stage is to
    (changed,) = decision.payloads
    assert isinstance(changed, StageChanged)
    assert changed.reason == reason


@pytest.mark.parametrize("reason", [None, "because"])
def test_an_unknown_reason_rejects_nothing(reason: str | None) -> None:
    assert acting("rejected", Stage.MQL, reason=reason).ignored is IgnoredReason.UNKNOWN_REASON


def test_an_implied_transition_counts_as_the_action_that_normally_makes_it() -> None:
    decision = acting("won", Stage.LEAD, amount=1200.0, currency="EUR")
    changes = [payload for payload in decision.payloads if isinstance(payload, StageChanged)]
    assert [change.action for change in changes] == [
        None,
        Action.ACCEPTED,
        Action.QUALIFIED,
        Action.OPPORTUNITY_OPENED,
        Action.WON,
    ]
    assert [change.amount for change in changes] == [None, None, None, 1200.0, 1200.0]
    assert "accord.lead.qualified" not in {payload.TYPE for payload in decision.payloads}
