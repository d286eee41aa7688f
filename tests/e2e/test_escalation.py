"""The agreement's escalations, executed: a lead changes hands, another is recycled, one stands still, one was in time
after all."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from running_accord import Caller, RunningAccord, start_accord, subscribe
from timeline import Between, Timeline, at_tempo

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


def everybody_asks_for_a_demo(timeline: Timeline) -> None:
    for who in (PASSED_ON, IN_TIME, ASLEEP, LEFT):
        timeline.at(1.0, who, "demo.requested")
        timeline.want(Between(1.0, 1.2), who, CHANGED, to="mql")
        timeline.want(Between(1.0, 1.2), who, ASSIGNED, why="rule")


async def test_what_escalates_is_carried_out_to_the_second(
    accord: RunningAccord, database_url: str, session: aiohttp.ClientSession
) -> None:
    caller = Caller(session, accord.url)
    timeline = Timeline(caller)
    async with Receiver(timeline.hear) as receiver:
        await subscribe(caller, receiver, *SUBSCRIBED)
        everybody_asks_for_a_demo(timeline)

        # Nobody calls this one: the owner is told, then the manager, and the other owner gets the lead and two seconds
        # more. Who calls then keeps the second promise, and ends the first.
        timeline.want(Between(3.0, 3.3), PASSED_ON, BREACHED, rule="contact", attempt=1)
        timeline.want(Between(3.0, 3.3), PASSED_ON, ESCALATED, level=1, to="owner")
        timeline.want(Between(4.0, 4.3), PASSED_ON, ESCALATED, level=2, whom=BOSS, then="reassign")
        timeline.want(Between(4.0, 4.4), PASSED_ON, ASSIGNED, why="reassigned")
        timeline.at(5.2, PASSED_ON, "sales.contacted", data={"channel": "call"})
        timeline.want(Between(5.2, 5.4), PASSED_ON, MET, rule="contact", attempt=2)
        timeline.want(Between(5.2, 5.4), PASSED_ON, RESOLVED, rule="contact", attempt=1)

        # This one was called in time; the CRM tells it when the breach was announced already.
        timeline.want(Between(3.0, 3.3), IN_TIME, BREACHED, rule="contact")
        timeline.want(Between(3.0, 3.3), IN_TIME, ESCALATED, level=1)
        timeline.at(3.5, IN_TIME, "sales.contacted", happened=2.5, data={"channel": "call"})
        timeline.want(Between(3.5, 3.7), IN_TIME, VOIDED, rule="contact")

        # This one asks to be left alone for three seconds, and the deal's deadline moves by as much.
        timeline.at(1.5, ASLEEP, "sales.qualified")
        timeline.want(Between(1.5, 1.7), ASLEEP, CHANGED, to="sal", implied=True)
        timeline.want(Between(1.5, 1.7), ASLEEP, CHANGED, to="sql")
        timeline.want(Between(1.5, 1.7), ASLEEP, MET, rule="contact")
        timeline.at(2.0, ASLEEP, "sales.snoozed", until=5.0)
        timeline.want(Between(2.0, 2.2), ASLEEP, PAUSED, rule="deal")
        timeline.want(Between(5.0, 5.3), ASLEEP, RESUMED, rule="deal")
        timeline.at(6.2, ASLEEP, "sales.opportunity.opened", data={"amount": 500, "currency": "USD"})
        timeline.want(Between(6.2, 6.4), ASLEEP, CHANGED, to="opportunity")
        timeline.want(Between(6.2, 6.4), ASLEEP, MET, rule="deal")

        # This deal is forgotten for so long that marketing gets the lead back.
        timeline.at(1.5, LEFT, "sales.qualified")
        timeline.want(Between(1.5, 1.7), LEFT, CHANGED, to="sal", implied=True)
        timeline.want(Between(1.5, 1.7), LEFT, CHANGED, to="sql")
        timeline.want(Between(1.5, 1.7), LEFT, MET, rule="contact")
        timeline.want(Between(3.5, 3.8), LEFT, BREACHED, rule="deal")
        timeline.want(Between(4.5, 4.8), LEFT, ESCALATED, level=1, whom=BOSS, then="recycle")
        timeline.want(Between(4.5, 4.9), LEFT, CHANGED, to="recycled", reason="deal, level 1")

        await timeline.play(until=7.5)
        assert receiver.failed == 0
    found = await audit(database_url)
    assert found.is_clean, first(found)
