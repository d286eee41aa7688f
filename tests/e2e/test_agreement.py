"""The agreement, executed: who is promised what, what is kept, what is broken, and when sales hears of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from running_accord import Caller, RunningAccord, start_accord, subscribe
from timeline import Between, Timeline, at_tempo

from services.demo.receiver import Receiver

AGREEMENT = """
accord: 1
name: Two clocks
calendar: {timezone: UTC, hours: {mon: ["09:00-17:00"]}}
scoring:
  engagement:
    half_life: 30d
    rules:
      - {id: demo, activity: demo.requested, points: 60}
  fit:
    rules:
      - {id: boss, where: {title: {contains: chief}}, points: 50}
    grades: {A: 50, B: 30, C: 10}
stages:
  mql: {engagement: {gte: 40}}
  rejection_reasons: {no_budget: recycled, competitor: disqualified}
routing:
  teams: {all: [{owner: ada@sales.example}]}
  rules: [{team: all}]
sla:
  clocks:
    - {id: contact-hot, starts: mql, stops: [contacted], when: {grade: A}, within: 2s, hours: always, warn_at: 50%}
    - {id: contact, starts: mql, stops: [contacted], when: {not: {grade: A}}, within: 4s, hours: always}
"""

QUALIFIED = "accord.lead.qualified"
WARNED, MET, BREACHED = "accord.clock.warned", "accord.clock.met", "accord.clock.breached"
RESOLVED, CANCELLED = "accord.clock.resolved", "accord.clock.cancelled"
SUBSCRIBED = (QUALIFIED, WARNED, MET, BREACHED, RESOLVED, CANCELLED, "accord.clock.voided")

AWAITED = "awaited@okapi.example"
FORGOTTEN = "forgotten@okapi.example"
PATIENT = "patient@okapi.example"
REFUSED = "refused@okapi.example"
IDLE = "idle@okapi.example"
CHIEF = {"title": "Chief Operating Officer"}


@pytest.fixture
async def accord(open_folder: Path) -> AsyncIterator[RunningAccord]:
    """An Accord that executes AGREEMENT."""
    agreement = open_folder / "agreement.yaml"
    agreement.write_text(at_tempo(AGREEMENT), encoding="utf-8")
    running = await start_accord(open_folder, agreement)
    yield running
    assert running.process.stop() == 0


async def test_what_was_agreed_is_executed_to_the_second(accord: RunningAccord, session: aiohttp.ClientSession) -> None:
    caller = Caller(session, accord.url)
    timeline = Timeline(caller)
    async with Receiver(timeline.hear) as receiver:
        await subscribe(caller, receiver, *SUBSCRIBED)

        # A chief asks for a demo and is called back in time.
        timeline.at(1.0, AWAITED, "demo.requested", profile=CHIEF)
        timeline.want(Between(1.0, 1.2), AWAITED, QUALIFIED, grade="A", owner="ada@sales.example")
        timeline.at(1.5, AWAITED, "sales.contacted", data={"channel": "call"})
        timeline.want(Between(1.5, 1.7), AWAITED, MET, rule="contact-hot")

        # Another one is forgotten: a warning at half time, a breach at the deadline, an end of it when somebody calls.
        timeline.at(1.0, FORGOTTEN, "demo.requested", profile=CHIEF)
        timeline.want(Between(1.0, 1.2), FORGOTTEN, QUALIFIED, grade="A")
        timeline.want(Between(2.0, 2.2), FORGOTTEN, WARNED, rule="contact-hot")
        timeline.want(Between(3.0, 3.3), FORGOTTEN, BREACHED, rule="contact-hot", owner="ada@sales.example")
        timeline.at(4.0, FORGOTTEN, "sales.contacted", data={"channel": "email"})
        timeline.want(Between(4.0, 4.2), FORGOTTEN, RESOLVED, rule="contact-hot")

        # Who is no chief is promised a call within four seconds; this one never gets it.
        timeline.at(1.2, PATIENT, "demo.requested", profile={"title": "Buyer"})
        timeline.want(Between(1.2, 1.4), PATIENT, QUALIFIED, grade="D")
        timeline.want(Between(5.2, 5.5), PATIENT, BREACHED, rule="contact")

        # Sales refuses one for a reason that both sides know: nobody needs to call any more.
        timeline.at(1.2, REFUSED, "demo.requested", profile={"title": "Buyer"})
        timeline.want(Between(1.2, 1.4), REFUSED, QUALIFIED)
        timeline.at(2.0, REFUSED, "sales.rejected", data={"reason": "no_budget"})
        timeline.want(Between(2.0, 2.2), REFUSED, CANCELLED, rule="contact")

        # Who only looks around is nobody's business.
        timeline.at(1.0, IDLE, "page.viewed")

        await timeline.play(until=6.5)
        assert receiver.failed == 0
