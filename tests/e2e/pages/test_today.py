"""Today: what is due and what was broken tick and move by themselves; nothing that a lead is called can do harm."""

import re
from typing import Any

from browser import Desk, at_desk
from builders import eventually
from playwright.async_api import Browser, expect
from running_accord import Caller, RunningAccord, has_applied

from shared.clock import new_id

HOT = {"title": "Head of Procurement", "company": "Acme", "employees": 400, "industry": "logistics"}
# A tenth of what counts as good (web.dev, Cumulative Layout Shift).
SHIFT_MAX = 0.01
COUNT_SHIFTS = """() => { window.shifted = 0; new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.shifted += one.value;
}).observe({ type: "layout-shift" }); }"""
LOOK_AWAY = """(isHidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


async def a_qualified_lead(caller: Caller, first_name: str) -> dict[str, Any]:
    """Handed to sales; the first of its promises has six seconds."""
    email = f"{new_id().hex}@today.example"
    event = {"type": "demo.requested", "lead": {"email": email}, "profile": {**HOT, "first_name": first_name}}
    assert (await caller.post("/v1/events", {**event, "source": "Today's <b>fair</b>"})).status == 202
    await eventually(lambda: has_applied(caller, email, lambda lead: lead["stage"] == "mql"), within=30)
    lead: dict[str, Any] = (await caller.get(f"/v1/leads/{email}")).json
    return lead


async def test_a_promise_runs_out_before_the_eyes_of_who_reads(desk: Desk, caller: Caller) -> None:
    await desk.go("/")
    name = f"Ada {new_id().hex[:8]} {HOSTILE}"
    lead = await a_qualified_lead(caller, name)
    due = desk.page.locator("#clocks tbody tr", has=desk.page.locator(f"a[href='/leads/{lead['id']}']")).first
    await expect(due).to_contain_text(name)
    await expect(due).to_contain_text("first-contact-hot")
    await expect(due).to_contain_text(lead["owner"])
    await expect(due.locator("time[data-countdown]")).to_have_text(re.compile(r"in [1-4] s"))
    broken = desk.page.locator("#breaches li", has=desk.page.locator(f"a[href='/leads/{lead['id']}']")).first
    await expect(broken).to_contain_text("still open")
    await expect(desk.page.locator("#since")).to_contain_text("Promises broken")
    await expect(desk.page).to_have_title("Today · Accord")


async def test_the_funnel_moves_when_sales_accept_somebody(desk: Desk, caller: Caller) -> None:
    lead = await a_qualified_lead(caller, "Grace")
    await desk.go("/")
    accepted = desk.page.locator("#funnel tr[data-key=sal] td.strong")
    before = int((await accepted.inner_text()).replace(",", ""))
    answer = await caller.post(f"/v1/leads/{lead['id']}/actions", {"action": "accepted"}, Prefer="wait=10")
    assert answer.status == 200, answer
    await expect(accepted).to_have_text(f"{before + 1:,}")
    await expect(desk.page.locator("#attained")).to_contain_text("accept-or-reject")
    await expect(desk.page.locator("#by-source")).to_contain_text("Today's <b>fair</b>")


async def test_who_may_read_leads_only_sees_a_page_without_what_they_may_not(
    browser: Browser, shared_accord: RunningAccord, caller: Caller
) -> None:
    made = await caller.post("/v1/keys", {"name": "rep", "role": "sales", "scopes": ["leads:read"]})
    async with at_desk(browser, shared_accord.url) as desk:
        await desk.sign_in(made.json["key"])
        await expect(desk.page.get_by_role("heading", level=1)).to_have_text("Today")
        await expect(desk.page.locator("#clocks, #funnel, #since, #attained, #by-source, #breaches")).to_have_count(0)
        assert desk.complaints == []


async def test_it_reads_without_scripts(browser: Browser, shared_accord: RunningAccord, desk: Desk) -> None:
    cookies = await desk.context.storage_state()
    async with at_desk(browser, shared_accord.url, java_script_enabled=False, storage_state=cookies) as quiet:
        await quiet.go("/")
        await expect(quiet.page.get_by_role("heading", name="Due next")).to_be_visible()
        await expect(quiet.page.get_by_role("heading", name="Funnel")).to_be_visible()


async def test_nothing_moves_while_clocks_come_and_go(
    browser: Browser, shared_accord: RunningAccord, desk: Desk, caller: Caller
) -> None:
    cookies = await desk.context.storage_state()
    async with at_desk(browser, shared_accord.url, storage_state=cookies) as other:
        shown = {desk: "#clocks", other: "#running"}
        await desk.go("/")
        await other.go("/clocks")
        for one in shown:
            await one.page.wait_for_load_state("load")
            await one.page.evaluate(COUNT_SHIFTS)
        leads = [await a_qualified_lead(caller, "Mary") for _ in range(3)]
        for one, region in shown.items():
            rows = one.page.locator(f"{region} tr", has=one.page.locator(f"a[href='/leads/{leads[-1]['id']}']"))
            await expect(rows.first).to_be_visible()
            # The first of its promises breaks by itself, and leaves the table.
            await expect(rows.filter(has_text="first-contact-hot")).to_have_count(0)
            assert await one.page.evaluate("window.shifted") < SHIFT_MAX, one.page.url


async def test_a_tab_in_the_background_holds_no_connection_and_catches_up_when_it_is_looked_at(
    desk: Desk, caller: Caller
) -> None:
    async def readers() -> int:
        told = (await caller.get("/metrics")).text
        return int(float(re.findall(r"^accord_api_stream_readers (\S+)$", told, re.MULTILINE)[0]))

    async def is_at(count: int) -> bool:
        return await readers() == count

    await desk.go("/")
    await eventually(lambda: is_at(1), within=10)
    await desk.page.evaluate(LOOK_AWAY, True)
    await eventually(lambda: is_at(0), within=10)
    lead = await a_qualified_lead(caller, "Joan")
    await desk.page.evaluate(LOOK_AWAY, False)
    await eventually(lambda: is_at(1), within=10)
    await expect(desk.page.locator(f"a[href='/leads/{lead['id']}']").first).to_be_visible()
