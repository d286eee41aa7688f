"""The hand-off as a sales tool hears it: who, why, whose, what is due by when; and nobody who is away gets a lead."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from builders import eventually
from running_accord import Caller, RunningAccord, start_accord, subscribe
from timeline import Timeline

from services.demo.receiver import Receiver
from shared.clock import SystemClock

AGREEMENT = """
accord: 1
name: Three owners
calendar: {timezone: UTC, hours: {mon: ["09:00-17:00"]}}
scoring:
  engagement:
    half_life: 30d
    rules:
      - {id: demo, activity: demo.requested, points: 60}
      - {id: paper, activity: whitepaper.downloaded, points: 5}
stages:
  mql: {engagement: {gte: 60}}
routing:
  teams: {all: [{owner: ada@sales.example, capacity: 1/d}, {owner: grace@sales.example}, {owner: linus@sales.example}]}
  rules: [{team: all}]
  sticky: company_domain
sla:
  clocks:
    - {id: contact, starts: mql, stops: [contacted], within: 2h, hours: always}
    - {id: accept, starts: mql, stops: [accepted, rejected], within: 1h, hours: always}
"""
QUALIFIED, ASSIGNED, RECORDED = "accord.lead.qualified", "accord.lead.assigned", "accord.sales.recorded"


@pytest.fixture
async def accord(open_folder: Path) -> AsyncIterator[RunningAccord]:
    """An Accord that executes AGREEMENT where it is noon, so that no day ends between two leads."""
    agreement = open_folder / "agreement.yaml"
    noon = f"Etc/GMT{SystemClock().now().hour - 12:+d}"
    agreement.write_text(AGREEMENT.replace("timezone: UTC", f"timezone: {noon}"), encoding="utf-8")
    running = await start_accord(open_folder, agreement)
    yield running
    assert running.process.stop() == 0


async def test_a_rep_hears_all_there_is_to_know_and_only_who_is_there_gets_leads(
    accord: RunningAccord, session: aiohttp.ClientSession
) -> None:
    caller = Caller(session, accord.url)
    heard = Timeline(caller)

    async def ask_for_a_demo(email: str) -> dict[str, Any]:
        for type_ in ("whitepaper.downloaded", "demo.requested"):
            event = {"type": type_, "lead": {"email": email}, "source": "website", "campaign": "spring"}
            assert (await caller.post("/v1/events", event)).status == 202
        await eventually(lambda: bool(told(QUALIFIED, email) and told(ASSIGNED, email)), within=10)
        return {"qualified": told(QUALIFIED, email)[0], "assigned": told(ASSIGNED, email)[0]}

    def told(type_: str, email: str) -> list[Any]:
        return [one.data for one in heard.told if (one.type, one.who) == (type_, email)]

    async with Receiver(heard.hear) as receiver:
        await subscribe(caller, receiver, QUALIFIED, ASSIGNED, RECORDED)
        first = (await ask_for_a_demo("a@one.example"))["qualified"]
        assert first["owner"] == "ada@sales.example"
        assert first["reasons"][0]["words"] == "demo requested"
        assert (first["lead"]["source"], first["lead"]["campaign"], first["accord"]) == ("website", "spring", 1)
        assert [clock["rule"] for clock in first["clocks"]] == ["accept", "contact"]
        assert first["due"] == first["clocks"][0]
        assert _at(first["due"]["deadline"]) - _at(first["occurred_at"]) == timedelta(hours=1)

        # Ada has her lead of today, so her company's next one goes to Grace; and Linus is paused.
        assert (await caller.post("/v1/owners", {"owner": "linus@sales.example", "paused": True})).status == 201
        second = (await ask_for_a_demo("b@one.example"))["assigned"]
        assert (second["owner"], second["why"]) == ("grace@sales.example", "rule")
        assert {passed["owner"].split("@")[0]: passed["why"] for passed in second["passed_over"]} == {
            "ada": "at capacity",
            "linus": "paused",
        }
        # Nobody else is there to take it from Grace.
        answer = await caller.post("/v1/leads/b@one.example/actions", {"action": "assigned"})
        assert answer.status == 202
        await eventually(lambda: bool(told(RECORDED, "b@one.example")), within=10)
        assert told(RECORDED, "b@one.example")[0]["ignored"] == "nobody else is active"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
