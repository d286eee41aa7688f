"""What sales can do on a lead's page, and what their forms say."""

from zoneinfo import ZoneInfo

import pytest

from services.api.pages.lead_actions import DONE, OFFERS, body_of, ignored_words, local_time, offers
from services.stages.model.transitions import steps
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import default_accord_text, load_accord
from shared.clock import SystemClock, new_id
from shared.events.lifecycle import IgnoredReason, Stage
from shared.events.sales import Action, SalesAction

BERLIN = ZoneInfo("Europe/Berlin")
ACCORD = compile_accord(load_accord(default_accord_text()), 1)
MOVES_NOTHING = ("contacted", "snoozed", "assigned", "note")


@pytest.mark.parametrize("stage", list(Stage))
def test_what_is_offered_is_one_step_that_stages_would_make(stage: Stage) -> None:
    now = SystemClock().now()
    for action in set(offers(stage)) - set(MOVES_NOTHING):
        done = SalesAction(
            lead_id=new_id(),
            id=new_id(),
            action=Action(action),
            occurred_at=now,
            received_at=now,
            source="api",
            reason=next(iter(ACCORD.document.stages.rejection_reasons)),
        )
        made = steps(stage, done, ACCORD)
        assert not isinstance(made, IgnoredReason), action
        assert [step.is_implied for step in made] == [False], action


def test_every_action_has_a_form_and_says_when_it_was_done() -> None:
    assert set(OFFERS) == set(Action) == set(DONE)


def test_a_time_is_the_reader_s() -> None:
    body, faults = body_of({"action": "snoozed", "until": "2026-11-30T09:00"}, BERLIN)
    assert (body, faults) == ({"action": "snoozed", "until": "2026-11-30T09:00:00+01:00"}, {})
    assert local_time("2026-11-30T09:00:00Z", BERLIN).isoformat() == "2026-11-30T09:00:00+00:00"


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-13-01T00:00", "9" * 400, "0001-01-01T00:00", "9999-12-31T23:59-14:00"]
)
def test_what_is_no_time_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="must be a date and a time"):
        local_time(text, BERLIN)


def test_amounts_are_read_as_people_write_them() -> None:
    body, faults = body_of({"action": "won", "amount": "12,000.50", "currency": "usd"}, BERLIN)
    assert (body, faults) == ({"action": "won", "amount": 12000.5, "currency": "USD"}, {})
    assert body_of({"action": "won", "amount": "much"}, BERLIN)[1]["amount"].startswith("must be a number")


def test_empty_fields_and_those_of_other_actions_are_left_out() -> None:
    form = {"action": "rejected", "reason": " no_budget ", "note": "", "owner": "ada", "csrf": "x"}
    assert body_of(form, BERLIN) == ({"action": "rejected", "reason": "no_budget"}, {})
    assert body_of({"action": "dance"}, BERLIN)[1] == {"action": "is none that this page offers"}
    assert body_of({}, BERLIN)[1]


@pytest.mark.parametrize("reason", list(IgnoredReason))
def test_every_reason_for_changing_nothing_is_told_in_a_sentence(reason: IgnoredReason) -> None:
    assert ignored_words(reason) != ignored_words("moon")
