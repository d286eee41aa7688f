"""The agreement, executed: who is promised what, what is kept, what is broken, and when sales hears of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from running_accord import Caller, RunningAccord, start_accord, subscribe
from timeline import Timeline, at_tempo

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

        # Somebody asks for a demo and is called back in time.
        demo = timeline.at(0.0, AWAITED, "demo.requested", profile={"title": "Buyer"})
        qualified = timeline.want(demo, 0.0, QUALIFIED, grade="D", owner="ada@sales.example")
        call = timeline.at(0.5, AWAITED, "sales.contacted", after=qualified, data={"channel": "call"})
        timeline.want(call, 0.0, MET, rule="contact")

        # A chief is forgotten: a warning at half time, a breach at the deadline, an end of it when somebody calls.
        demo = timeline.at(0.0, FORGOTTEN, "demo.requested", profile=CHIEF)
        timeline.want(demo, 0.0, QUALIFIED, grade="A")
        timeline.want(demo, 1.0, WARNED, rule="contact-hot")
        breached = timeline.want(demo, 2.0, BREACHED, rule="contact-hot", owner="ada@sales.example")
        call = timeline.at(3.0, FORGOTTEN, "sales.contacted", after=breached, data={"channel": "email"})
        timeline.want(call, 0.0, RESOLVED, rule="contact-hot")

        # Who is no chief is promised a call within four seconds; this one never gets it.
        demo = timeline.at(0.2, PATIENT, "demo.requested", profile={"title": "Buyer"})
        timeline.want(demo, 0.0, QUALIFIED, grade="D")
        timeline.want(demo, 4.0, BREACHED, rule="contact")

        # Sales refuses one for a reason that both sides know: nobody needs to call any more.
        demo = timeline.at(0.2, REFUSED, "demo.requested", profile={"title": "Buyer"})
        qualified = timeline.want(demo, 0.0, QUALIFIED)
        refusal = timeline.at(1.0, REFUSED, "sales.rejected", after=qualified, data={"reason": "no_budget"})
        timeline.want(refusal, 0.0, CANCELLED, rule="contact")

        # Who only looks around is nobody's business.
        timeline.at(0.0, IDLE, "page.viewed")

        await timeline.play(until=5.5)
        assert receiver.failed == 0
