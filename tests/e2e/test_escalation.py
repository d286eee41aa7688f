"""The agreement's escalations, executed: a lead changes hands, another is recycled, one stands still, one was in time
after all."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from running_accord import Caller, RunningAccord, start_accord, subscribe
from timeline import Moment, Push, Timeline, Wanted, at_tempo

from services.audit.report import first
from services.audit.run import audit
from services.demo.receiver import Receiver

AGREEMENT = """
accord: 1
name: Two ladders
calendar: {timezone: UTC, hours: {mon: ["09:00-17:00"]}}
scoring:
  engagement:
    half_life: 30d
    rules:
      - {id: demo, activity: demo.requested, points: 60}
  fit: {rules: [], grades: {A: 50, B: 30, C: 10}}
stages:
  mql: {engagement: {gte: 40}}
routing:
  teams: {all: [{owner: ada@sales.example}, {owner: grace@sales.example}]}
  rules: [{team: all}]
  managers: {all: boss@sales.example}
sla:
  clocks:
    - id: contact
      starts: mql
      stops: [contacted, qualified]
      within: 2s
      hours: always
      escalate: [{at: 100%, to: owner}, {at: 150%, to: manager, then: reassign}]
    - id: deal
      starts: sql
      stops: [opportunity.opened]
      within: 2s
      hours: always
      escalate: [{at: 150%, to: manager, then: recycle}]
      pauses_while: snoozed
"""

MET, BREACHED, RESOLVED = "accord.clock.met", "accord.clock.breached", "accord.clock.resolved"
VOIDED, ESCALATED = "accord.clock.voided", "accord.clock.escalated"
PAUSED, RESUMED = "accord.clock.paused", "accord.clock.resumed"
ASSIGNED, CHANGED = "accord.lead.assigned", "accord.stage.changed"
SUBSCRIBED = (MET, BREACHED, RESOLVED, VOIDED, ESCALATED, PAUSED, RESUMED, ASSIGNED, CHANGED)

PASSED_ON = "passed-on@okapi.example"
IN_TIME = "in-time@okapi.example"
ASLEEP = "asleep@okapi.example"
LEFT = "left@okapi.example"
BOSS = "boss@sales.example"


@pytest.fixture
async def accord(open_folder: Path, database_url: str) -> AsyncIterator[RunningAccord]:
    """An Accord that executes AGREEMENT."""
    agreement = open_folder / "agreement.yaml"
    agreement.write_text(at_tempo(AGREEMENT), encoding="utf-8")
    running = await start_accord(open_folder, agreement, ACCORD_DATABASE_URL=database_url)
    yield running
    assert running.process.stop() == 0


def a_demo(timeline: Timeline, who: str) -> tuple[Push, Wanted]:
    """Somebody asks for a demo; and the owner hears whose that is."""
    demo = timeline.at(0.0, who, "demo.requested")
    timeline.want(demo, 0.0, CHANGED, to="mql")
    return demo, timeline.want(demo, 0.0, ASSIGNED, why="rule")


def a_deal(timeline: Timeline, who: str) -> Push:
    """Sales sees a deal in somebody who has just asked for a demo."""
    _, assigned = a_demo(timeline, who)
    deal = timeline.at(0.5, who, "sales.qualified", after=assigned)
    timeline.want(deal, 0.0, CHANGED, to="sal", implied=True)
    timeline.want(deal, 0.0, CHANGED, to="sql")
    timeline.want(deal, 0.0, MET, rule="contact")
    return deal


async def test_what_escalates_is_carried_out_to_the_second(
    accord: RunningAccord, database_url: str, session: aiohttp.ClientSession
) -> None:
    caller = Caller(session, accord.url)
    timeline = Timeline(caller)
    async with Receiver(timeline.hear) as receiver:
        await subscribe(caller, receiver, *SUBSCRIBED)

        # Nobody calls this one: the owner is told, then the manager, and the other owner gets the lead and two seconds
        # more. Who calls then keeps the second promise, and ends the first.
        demo, _ = a_demo(timeline, PASSED_ON)
        timeline.want(demo, 2.0, BREACHED, rule="contact", attempt=1)
        timeline.want(demo, 2.0, ESCALATED, level=1, to="owner")
        timeline.want(demo, 3.0, ESCALATED, level=2, whom=BOSS, then="reassign")
        reassigned = timeline.want_from(demo, 3.0, ASSIGNED, why="reassigned")
        call = timeline.at(3.5, PASSED_ON, "sales.contacted", after=reassigned, data={"channel": "call"})
        timeline.want(call, 0.0, MET, rule="contact", attempt=2)
        timeline.want(call, 0.0, RESOLVED, rule="contact", attempt=1)

        # This one was called in time; the CRM tells it when the breach was announced already.
        demo, _ = a_demo(timeline, IN_TIME)
        breached = timeline.want(demo, 2.0, BREACHED, rule="contact")
        timeline.want(demo, 2.0, ESCALATED, level=1)
        happened = Moment(demo, 1.5)
        call = timeline.at(2.3, IN_TIME, "sales.contacted", after=breached, happened=happened, data={"channel": "call"})
        timeline.want(call, 0.0, VOIDED, rule="contact")

        # This one asks to be left alone for three seconds, and the deal's deadline moves by as much.
        a_deal(timeline, ASLEEP)
        snooze = timeline.at(1.0, ASLEEP, "sales.snoozed", until=3.0)
        timeline.want(snooze, 0.0, PAUSED, rule="deal")
        resumed = timeline.want(snooze, 3.0, RESUMED, rule="deal")
        won = timeline.at(
            4.5, ASLEEP, "sales.opportunity.opened", after=resumed, data={"amount": 500, "currency": "USD"}
        )
        timeline.want(won, 0.0, CHANGED, to="opportunity")
        timeline.want(won, 0.0, MET, rule="deal")

        # This deal is forgotten for so long that marketing gets the lead back.
        deal = a_deal(timeline, LEFT)
        timeline.want(deal, 2.0, BREACHED, rule="deal")
        timeline.want(deal, 3.0, ESCALATED, level=1, whom=BOSS, then="recycle")
        timeline.want_from(deal, 3.0, CHANGED, to="recycled", reason="deal, level 1")

        await timeline.play(until=6.5)
        assert receiver.failed == 0
    found = await audit(database_url)
    assert found.is_clean, first(found)
