"""Clocks in the browser: what is due, what was kept, what was broken and why."""

import re
from datetime import datetime, timedelta
from typing import Any

from browser import Desk
from builders import eventually
from playwright.async_api import expect
from running_accord import Caller

from shared.clock import SystemClock

HOSTILE = "Ada <script>alert(1)</script> ‮<img src=x onerror=alert(2)>"


async def qualify(caller: Caller, mailbox: str, name: str) -> str:
    """The id of a lead that sales must contact within 6 s, and accept or reject within 12 s."""
    email = f"{mailbox}@clocks.example"
    profile = {"title": "VP", "employees": 3000, "industry": "software", "name": name}
    event = {"type": "demo.requested", "lead": {"email": email}, "profile": profile}
    assert (await caller.post("/v1/events", event)).status == 202
    found: list[str] = []

    async def is_qualified() -> bool:
        answer = await caller.get(f"/v1/leads/{email}")
        if answer.status == 200 and answer.json["stage"] == "mql" and len(answer.json["clocks"]) >= 2:
            found[:] = [answer.json["id"]]
        return bool(found)

    await eventually(is_qualified, within=20)
    return found[0]


async def clock(caller: Caller, lead: str, rule: str) -> dict[str, Any]:
    (found,) = [
        one for one in (await caller.get("/v1/clocks", lead=lead, rule=rule)).json["items"] if one["attempt"] == 1
    ]
    return dict(found)


async def test_a_running_clock_counts_shows_its_working_and_goes_once_it_is_met(desk: Desk, caller: Caller) -> None:
    lead = await qualify(caller, "running", HOSTILE)
    # Snoozed, so that it runs for as long as a slow machine needs.
    until = (SystemClock().now() + timedelta(hours=3)).isoformat()
    for action in ({"action": "accepted"}, {"action": "qualified"}, {"action": "snoozed", "until": until}):
        assert (await caller.post(f"/v1/leads/{lead}/actions", action, Prefer="wait=10")).status == 200
    await desk.go("/clocks?rule=work-the-opportunity")
    row = desk.page.locator("#running tr", has_text=HOSTILE)
    await expect(row).to_contain_text("until made an opportunity, disqualified or recycled")
    await expect(row.locator(".clock")).to_have_text("paused")
    await expect(row.locator("time[data-countdown]")).to_have_text(re.compile(r"in (3 h|2 h 5\d min)"))
    await row.get_by_text("How the deadline came about").click()
    await expect(row.locator(".working .rests")).to_contain_text("no, snoozed")
    await expect(row.locator(".working")).to_contain_text("8 s, at whatever hour")
    opened = {"action": "opportunity.opened", "amount": 1000, "currency": "USD"}
    await caller.post(f"/v1/leads/{lead}/actions", opened, Prefer="wait=10")
    await expect(row).to_have_count(0)
    await expect(desk.page.locator("main script, main img")).to_have_count(0)


async def test_promises_on_many_leads_stand_there_unless_something_was_chosen(desk: Desk, caller: Caller) -> None:
    await qualify(caller, "counted", "Cora Counted")
    await desk.go("/clocks")
    row = desk.page.locator("#promised tr", has_text="leads-per-week")
    asked = (await caller.get("/v1/promises")).json["items"]
    now = next(item for item in asked if item["promise"] == "leads-per-week")
    await expect(row).to_contain_text(str(now["target"]))
    await expect(row.get_by_role("img")).to_have_count(1)
    await expect(row).to_contain_text("promised by marketing")
    await desk.go("/clocks?rule=first-contact")
    await expect(desk.page.locator("#running")).to_be_visible()
    await expect(desk.page.locator("#promised")).to_have_count(0)


async def test_what_was_broken_says_why_and_what_is_voided_too(desk: Desk, caller: Caller) -> None:
    lead = await qualify(caller, "broken", "Brenda Broken")
    await desk.go("/clocks?rule=first-contact-hot")
    broken = desk.page.locator("#broken li", has_text="Brenda Broken")
    await expect(broken.filter(has_text="still open").first).to_contain_text("It was not contacted in time")
    began = datetime.fromisoformat((await clock(caller, lead, "first-contact-hot"))["started_at"])
    said = {"action": "contacted", "channel": "call", "occurred_at": began.isoformat()}
    await caller.post(f"/v1/leads/{lead}/actions", said, Prefer="wait=10")
    voided = desk.page.locator("#voided li", has_text="Brenda Broken").first
    await expect(voided).to_contain_text("It was contacted in time")
    await expect(voided).to_contain_text("after the deadline")


async def test_filters_and_groups_stand_in_the_address_and_reports_follow(desk: Desk, caller: Caller) -> None:
    lead = await qualify(caller, "kept", "Kim Kept")
    await caller.post(f"/v1/leads/{lead}/actions", {"action": "contacted", "channel": "call"}, Prefer="wait=10")
    owner = (await clock(caller, lead, "first-contact-hot"))["owner"]
    await desk.go("/clocks")
    await expect(desk.page.locator("#attainment tbody")).to_contain_text(owner)
    await expect(desk.page.locator("#contact tbody")).to_contain_text("within 5 min")
    await desk.page.get_by_label("Owner", exact=True).select_option(owner)
    await expect(desk.page).to_have_url(
        f"{desk.url}/clocks?owner={owner.replace('@', '%40')}&team=&rule=&days=30&by=owner"
    )
    await expect(desk.page.locator("#attainment tbody tr")).to_have_count(1)
    await desk.page.get_by_role("link", name="Week", exact=True).click()
    week = (await caller.get("/v1/attainment", by="week", owner=owner)).json["items"][-1]
    await expect(desk.page.locator("#attainment tbody tr").last).to_contain_text(str(week["started"]))
    await expect(desk.page.locator("#attainment svg")).to_have_attribute(
        "aria-label", "Promises met and broken by week"
    )
    await desk.go("/clocks?owner=nobody%22%3E%3Cb%3E&by=nonsense&days=1e9&after=nonsense&before=x")
    await expect(desk.page.locator("#running")).to_contain_text("Nothing that you chose is due.")
    await expect(desk.page.locator("main b")).to_have_count(0)
