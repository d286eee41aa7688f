"""The deadlines that `accord.lead.qualified` names are those of the clocks that sla_monitor starts, snoozed or not."""

from datetime import timedelta
from uuid import uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line_builders import ADA, START, accords_of, after, sales_action

from services.sla_monitor.model import decisions as sla
from services.sla_monitor.model.states import Lead, Received
from services.stages.model import Routing, Score, State, apply, told_id
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import load_accord
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import LeadQualified
from shared.events.sales import SalesAction
from shared.events.sla import ClockStarted

ACCORDS = accords_of(
    compile_accord(
        load_accord(
            """
accord: 1
name: Paused
calendar: {timezone: UTC, hours: {mon: ["09:00-17:00"], tue: ["09:00-17:00"]}}
scoring: {}
stages: {mql: {engagement: {gte: 40}}}
sla:
  clocks:
    - {id: contact, starts: mql, stops: [accepted], within: 1h, hours: always}
    - {id: patient, starts: mql, stops: [accepted], within: 30m, hours: always, pauses_while: snoozed}
    - {id: office, starts: mql, stops: [accepted], within: 2h, hours: business, pauses_while: snoozed}
"""
        ),
        1,
    )
)
SCORE = Score(engagement=60, fit=0, grade="D", activity="demo.requested", lead=LeadSnapshot("x@maker.example"))


class Line:
    """One lead through the folds of stages and sla_monitor."""

    def __init__(self) -> None:
        self.state = State(ADA)
        self.clocks: Lead | None = None
        self.previews: dict[str, object] = {}
        self.started: dict[str, object] = {}

    def hears(self, item: Score | SalesAction, minutes: float) -> None:
        at = after(minutes=minutes)
        decision = apply(self.state, item, received_at=at, accord=ACCORDS.newest, routing=Routing())
        self.state, event_id = decision.state, uuid5(ADA, str(self.state.number))
        for payload in decision.payloads:
            if isinstance(payload, LeadQualified):
                self.previews = {clock.rule: clock.deadline for clock in payload.clocks}
                assert payload.due == payload.clocks[0]
                continue
            told = Received(told_id(event_id, payload), at, None, payload, event_id)
            self.clocks, announced, _ = sla.apply(self.clocks, told, ACCORDS)
            self.started |= {event.rule: event.deadline for event in announced if isinstance(event, ClockStarted)}

    def snoozes(self, at: float, until: float | None, heard: float | None = None) -> None:
        end = None if until is None else after(minutes=until)
        self.hears(sales_action("snoozed", after(minutes=at), until=end), at if heard is None else heard)

    def touches(self, at: float, heard: float | None = None) -> None:
        self.hears(sales_action("contacted", after(minutes=at)), at if heard is None else heard)


def test_a_snooze_that_still_runs_puts_off_what_pauses_for_it_and_nothing_else() -> None:
    line = Line()
    line.snoozes(0, 40)
    line.hears(SCORE, 10)
    assert line.previews == line.started
    assert line.previews["contact"] == after(minutes=70)
    assert line.previews["patient"] == after(minutes=70)


@pytest.mark.parametrize("is_heard_first", [False, True])
def test_a_touch_ends_it_whichever_is_heard_first(is_heard_first: bool) -> None:
    line = Line()
    if is_heard_first:
        line.touches(5)
        line.snoozes(0, 40, heard=6)
    else:
        line.snoozes(0, 40)
        line.touches(5)
    line.hears(SCORE, 10)
    assert line.previews == line.started
    assert line.previews["patient"] == after(minutes=40)


def test_a_touch_of_before_it_does_not_end_it() -> None:
    line = Line()
    line.touches(1)
    line.snoozes(2, 40)
    line.touches(0, heard=3)
    line.hears(SCORE, 10)
    assert line.previews == line.started
    assert line.previews["patient"] == after(minutes=70)


def test_what_is_over_is_no_more_kept() -> None:
    line = Line()
    line.snoozes(0, 5)
    line.snoozes(1, None)
    assert line.state.snoozes != ()
    line.hears(sales_action("note", START), 5)
    assert line.state.snoozes == ()


_SPANS = st.tuples(st.integers(0, 60), st.integers(-10, 90), st.integers(0, 15), st.booleans())


@settings(max_examples=80)
@given(deeds=st.lists(_SPANS, max_size=6), enters=st.integers(0, 20))
def test_whatever_was_snoozed_and_touched_they_agree(deeds: list[tuple[int, int, int, bool]], enters: int) -> None:
    line = Line()
    heard = sorted((at + late, at, length, is_touch) for at, length, late, is_touch in deeds)
    for received, at, length, is_touch in heard:
        if is_touch:
            line.touches(at, heard=received)
        else:
            line.snoozes(at, at + length, heard=received)
    line.hears(SCORE, max([0, *(received for received, *_ in heard)]) + enters)
    assert line.previews == line.started
    assert len(line.previews) == 3
    assert line.previews["contact"] == line.state.entered_at + timedelta(hours=1)  # type: ignore[operator]
