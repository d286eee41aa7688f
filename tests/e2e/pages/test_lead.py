"""A lead: why, what is due by when, and what sales does about it, seen at once by whoever looks."""

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from browser import PHONE, Desk, at_desk
from builders import eventually
from playwright.async_api import Browser, Locator, Page, expect
from running_accord import ADMIN_KEY, Caller, RunningAccord

from shared.clock import SystemClock

HOT = {"title": "VP Operations", "company": "Acme", "employees": 400, "industry": "logistics"}
STOPPED = re.compile("met|resolved")


async def a_qualified_lead(caller: Caller, email: str, **profile: Any) -> str:
    """Its id. The clocks of the demo's accord run for seconds."""
    event = {"type": "demo.requested", "lead": {"email": email}, "profile": {**HOT, **profile}, "source": "website"}
    assert (await caller.post("/v1/events", event)).status == 202
    found: dict[str, Any] = {}

    async def is_qualified() -> bool:
        answer = await caller.get(f"/v1/leads/{email}")
        found.update(answer.json)
        return answer.status == 200 and answer.json["stage"] == "mql" and len(answer.json["clocks"]) == 2

    await eventually(is_qualified, within=15)
    return str(found["id"])


def clock(page: Page, rule: str) -> Locator:
    return page.locator("#clocks .timer", has=page.get_by_role("heading", name=rule, exact=True))


async def test_the_page_says_why_the_lead_is_qualified_and_what_is_due_by_when(desk: Desk, caller: Caller) -> None:
    lead = await a_qualified_lead(caller, "why@pages.example", name="Wyona Why")
    await desk.go(f"/leads/{lead}")
    standing = desk.page.locator("#standing")
    await expect(standing).to_contain_text("Wyona Why is marketing qualified (MQL) since", use_inner_text=True)
    await expect(standing).to_contain_text("met the agreed line, (engagement at least 40 and grade is A or B) or")
    await expect(standing).to_contain_text("Most of it came from demo (+60).")
    await expect(standing).to_contain_text("is to accept, reject, disqualify or recycle this lead by")
    await expect(standing).to_contain_text("decay takes its score below the line on")
    row = desk.page.locator(".waterfall tbody tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("demo")
    await expect(desk.page.locator("#why .fit-rules")).to_contain_text("decision-maker +30")
    await expect(clock(desk.page, "accept-or-reject")).to_contain_text("within 12 s, at any hour")
    await expect(clock(desk.page, "accept-or-reject").locator("svg.strip")).to_be_visible()


async def test_accepting_a_lead_stops_its_clock(desk: Desk, caller: Caller) -> None:
    lead = await a_qualified_lead(caller, "accept@pages.example")
    await desk.go(f"/leads/{lead}")
    await desk.page.get_by_role("button", name="Accept", exact=True).click()
    await expect(desk.page.locator(".done")).to_have_text("Accepted.")
    await expect(desk.page.locator("#head .stage")).to_have_text("SAL")
    await expect(clock(desk.page, "accept-or-reject")).to_have_attribute("data-state", STOPPED)
    await expect(desk.page.locator("#path li[aria-current]")).to_contain_text("SAL")
    await expect(desk.page.locator("#timeline")).to_contain_text("Accepted by ACCORD_ADMIN_KEY")
    await expect(desk.page.get_by_role("button", name="Qualify", exact=True)).to_be_visible()


async def test_a_rejection_with_a_reason_takes_the_lead_from_the_list_that_somebody_else_looks_at(
    desk: Desk, browser: Browser, shared_accord: RunningAccord, caller: Caller
) -> None:
    lead = await a_qualified_lead(caller, "reject@pages.example", name="Rex Rejected")
    async with at_desk(browser, shared_accord.url) as other:
        await other.sign_in(ADMIN_KEY)
        await other.go("/leads?stage=mql&q=rex+rejected")
        await expect(other.page.locator(f'[data-key="{lead}"]')).to_be_visible()
        await desk.go(f"/leads/{lead}")
        form = desk.page.get_by_role("form", name="Reject")
        await form.get_by_label("Reason").select_option("no_budget")
        await form.get_by_role("button").click()
        await expect(desk.page.locator("#head .stage")).to_have_text("Recycled")
        await expect(desk.page.locator("#path li[aria-current]")).to_contain_text("no budget")
        await expect(other.page.locator("#list")).to_contain_text("No lead matches")
        assert other.complaints == []


async def test_two_who_look_at_a_lead_see_what_the_other_does(
    desk: Desk, browser: Browser, shared_accord: RunningAccord, caller: Caller
) -> None:
    lead = await a_qualified_lead(caller, "both@pages.example")
    async with at_desk(browser, shared_accord.url) as other:
        await other.sign_in(ADMIN_KEY)
        await other.go(f"/leads/{lead}")
        await expect(other.page.locator("#live-state")).to_have_text("Live")
        await desk.go(f"/leads/{lead}")
        form = desk.page.get_by_role("form", name="Contacted")
        await form.get_by_label("Channel").select_option("meeting")
        await form.get_by_role("button").click()
        await expect(desk.page.locator(".done")).to_have_text("Contacted: it is on record.")
        await expect(clock(other.page, "first-contact-hot")).to_have_attribute("data-state", STOPPED)
        await expect(other.page.locator("#timeline")).to_contain_text("channel meeting")
        assert other.complaints == []


async def test_a_field_that_is_wrong_says_so_beside_it_and_nothing_is_done(desk: Desk, caller: Caller) -> None:
    lead = await a_qualified_lead(caller, "snooze@pages.example")
    await desk.go(f"/leads/{lead}")
    form = desk.page.get_by_role("form", name="Snooze")
    await form.get_by_label("Until").fill("2020-01-01T09:00")
    await form.get_by_role("button").click()
    await expect(form.get_by_label("Until")).to_have_attribute("aria-invalid", "true")
    await expect(form.locator(".field-fault")).to_have_text("must be later than occurred_at")
    tomorrow = SystemClock().now() + timedelta(days=1)
    await form.get_by_label("Until").fill(f"{tomorrow:%Y-%m-%dT%H:%M}")
    await form.get_by_role("button").click()
    await expect(desk.page.locator(".done")).to_have_text("Snoozed.")
    await expect(desk.page.locator("#timeline")).to_contain_text("Snoozed by ACCORD_ADMIN_KEY until")


async def test_handing_over_changes_the_owner(desk: Desk, caller: Caller) -> None:
    lead = await a_qualified_lead(caller, "hand@pages.example")
    await desk.go(f"/leads/{lead}")
    form = desk.page.get_by_role("form", name="Hand over")
    await form.get_by_label("To").select_option("ada@sales.example")
    await form.get_by_role("button").click()
    await expect(desk.page.locator("#owner")).to_contain_text("ada@sales.example")


async def test_without_javascript_an_action_works_and_one_that_came_too_late_says_why_nothing_changed(
    browser: Browser, shared_accord: RunningAccord, caller: Caller
) -> None:
    lead = await a_qualified_lead(caller, "late@pages.example")
    async with at_desk(browser, shared_accord.url, java_script_enabled=False) as desk:
        await desk.sign_in(ADMIN_KEY)
        await desk.go(f"/leads/{lead}")
        accepted = await caller.post(f"/v1/leads/{lead}/actions", {"action": "qualified"}, Prefer="wait=10")
        assert accepted.json["stage"] == "sql"
        await desk.page.get_by_role("button", name="Accept", exact=True).click()
        alert = desk.page.get_by_role("alert")
        await expect(alert).to_have_text("Nothing was changed: the lead is as far along already, or further.")
        form = desk.page.get_by_role("form", name="Open opportunity")
        await form.get_by_label("Amount").fill("12,000")
        await form.get_by_label("Currency").fill("usd")
        await form.get_by_role("button").click()
        await expect(desk.page.locator("#head .stage")).to_have_text("Opportunity")
        await expect(desk.page.locator("#timeline")).to_contain_text("amount 12,000.00 USD")


async def test_a_lead_is_shown_as_it_was_known_at_a_time_in_the_reader_s_zone(desk: Desk, caller: Caller) -> None:
    lead = await a_qualified_lead(caller, "then@pages.example")
    await desk.go(f"/leads/{lead}")
    then = (SystemClock().now() - timedelta(hours=2)).astimezone(ZoneInfo("Europe/Berlin")).replace(microsecond=0)
    await desk.page.get_by_label("Date and time").fill(f"{then:%Y-%m-%dT%H:%M:%S}")
    await desk.page.locator(".moment").get_by_role("button", name="Show").click()
    await expect(desk.page.get_by_role("note")).to_contain_text("As Accord knew it at")
    await expect(desk.page.locator("#standing")).to_contain_text("is not qualified: engagement of 0")
    await expect(desk.page.locator("#actions")).to_have_count(0)
    asked = re.search("at=([^&]+)", desk.page.url)
    assert asked is not None
    assert datetime.fromisoformat(asked[1].replace("%3A", ":")) == then
    await desk.page.get_by_role("link", name="Show now").click()
    await expect(desk.page.locator("#standing")).to_contain_text("is marketing qualified")
    await desk.go(f"/leads/{lead}?at=soon")
    await expect(desk.page.locator("#at-fault")).to_contain_text("must be a date and a time")


async def test_what_web_forms_were_filled_in_with_is_shown_as_text_and_breaks_nothing(
    browser: Browser, shared_accord: RunningAccord, caller: Caller
) -> None:
    hostile = {
        "name": '<img src=x onerror="window.hit=1"> \u202eevil',
        "title": "שלום VP Operations <script>window.hit=1</script>",
        "company": "W" * 300,
        "note": "x" * 3_000,
        "nested": {"<b>a</b>": ["'\"><svg onload=window.hit=1>"]},
        "{{ 7 * 7 }}": "${7*7}",
    }
    lead = await a_qualified_lead(caller, "hostile@pages.example", **hostile)
    note = {"action": "note", "note": "</p><script>window.hit=1</script>" + "y" * 400}
    assert (await caller.post(f"/v1/leads/{lead}/actions", note, Prefer="wait=10")).status == 200
    async with at_desk(browser, shared_accord.url, viewport=PHONE) as desk:
        await desk.sign_in(ADMIN_KEY)
        for path in (f"/leads/{lead}", "/leads?q=hostile"):
            await desk.go(path)
            await expect(desk.page.locator("main")).to_contain_text("<img src=x onerror=")
            assert await desk.page.evaluate("window.hit") is None
            assert await desk.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert desk.complaints == []


async def test_who_may_not_act_sees_no_actions(browser: Browser, shared_accord: RunningAccord, caller: Caller) -> None:
    lead = await a_qualified_lead(caller, "watch@pages.example")
    scopes = ["leads:read", "clocks:read", "stream:read"]
    made = await caller.post("/v1/keys", {"name": "Mary Marketing", "role": "marketing", "scopes": scopes})
    async with at_desk(browser, shared_accord.url) as desk:
        await desk.sign_in(made.json["key"])
        await desk.go(f"/leads/{lead}")
        await expect(desk.page.locator("#standing")).to_contain_text("is marketing qualified")
        await expect(desk.page.locator("#actions")).to_have_count(0)
        assert desk.complaints == []


async def test_a_key_of_one_owner_acts_on_its_leads_and_knows_no_others(
    browser: Browser, shared_accord: RunningAccord, caller: Caller
) -> None:
    lead = await a_qualified_lead(caller, "mine@pages.example")
    owner = (await caller.get(f"/v1/leads/{lead}")).json["owner"]
    for name, is_mine in ((owner, True), ("nobody@sales.example", False)):
        body = {"name": name, "role": "sales", "scopes": ["leads:read", "leads:act"], "owner": name}
        made = await caller.post("/v1/keys", body)
        async with at_desk(browser, shared_accord.url) as desk:
            await desk.sign_in(made.json["key"])
            await desk.go(f"/leads/{lead}")
            if is_mine:
                await desk.page.get_by_role("form", name="Contacted").get_by_role("button").click()
                await expect(desk.page.locator(".done")).to_have_text("Contacted: it is on record.")
            else:
                await expect(desk.page.get_by_role("heading", level=1)).to_have_text("No such lead")


async def test_a_lead_that_is_unknown_or_erased_gets_a_page_that_says_so(desk: Desk, caller: Caller) -> None:
    for nobody in ("00000000-0000-4000-8000-000000000000", "nobody", "nobody@pages.example"):
        await desk.go(f"/leads/{nobody}")
        await expect(desk.page.get_by_role("heading", level=1)).to_have_text("No such lead")
    lead = await a_qualified_lead(caller, "erase@pages.example")
    await caller.delete(f"/v1/leads/{lead}")

    async def is_gone() -> bool:
        return (await caller.get(f"/v1/leads/{lead}")).status == 404

    await eventually(is_gone, within=15)
    await desk.go(f"/leads/{lead}")
    await expect(desk.page.get_by_role("heading", level=1)).to_have_text("This lead was erased")
    await expect(desk.page.get_by_role("main")).to_contain_text("is gone, for good")
