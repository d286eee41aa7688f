"""The list of leads: found by what they are asked for in the address, gone through with keys, taken along as CSV."""

import csv
import io
from typing import Any

from browser import Desk
from builders import eventually
from playwright.async_api import expect
from running_accord import Caller

COUNT = 53


async def many_leads(caller: Caller, company: str, count: int, **profile: Any) -> None:
    """Leads of one company, of which the later ones did more."""
    events = [
        {
            "type": "tradeshow.scanned",
            "lead": {"email": f"p{number:02}@{company}.example"},
            "profile": {"name": f"P{number:02} of {company}", "company": company, **profile},
            "data": {"interest": "demo"} if number % 2 else {},
            "source": "website",
        }
        for number in range(count)
    ]
    assert (await caller.post("/v1/events", {"events": events})).status == 202

    async def are_listed() -> bool:
        return len((await caller.get("/v1/leads", q=company, limit="500")).json["items"]) == count

    await eventually(are_listed, within=15)


async def test_what_is_looked_for_stands_in_the_address_and_the_list_follows(desk: Desk, caller: Caller) -> None:
    await many_leads(caller, "searchworks", 4)
    await desk.go("/leads")
    await desk.page.get_by_label("Search").fill("searchworks")
    await desk.page.get_by_label("Search").press("Enter")
    rows = desk.page.locator("[data-rows] [data-key]")
    await expect(rows).to_have_count(4)
    assert "q=searchworks" in desk.page.url
    await desk.page.get_by_label("Engagement from").fill("20")
    await desk.page.get_by_label("Engagement from").press("Enter")
    await expect(rows).to_have_count(2)
    await expect(rows.first.locator("svg.sparkline")).to_have_attribute(
        "aria-label", "Engagement over 30 days: 0 at first, 28 at most, 28 now"
    )
    await desk.page.get_by_role("link", name="Changed").click()
    await expect(desk.page.locator("th[aria-sort=descending]")).to_contain_text("Changed")
    assert "q=searchworks" in desk.page.url
    await expect(rows).to_have_count(2)
    await desk.page.get_by_label("Engagement from").fill("much")
    await desk.page.get_by_label("Engagement from").press("Enter")
    await expect(desk.page.get_by_label("Engagement from")).to_have_attribute("aria-invalid", "true")
    await desk.page.get_by_role("link", name="Clear").click()
    await desk.page.get_by_label("Stage").select_option("customer")
    await expect(desk.page).to_have_url(
        f"{desk.url}/leads?q=&stage=customer&grade=&owner=&source=&min_engagement=&sort=updated"
    )


async def test_keys_go_through_the_list_and_open_a_lead(desk: Desk, caller: Caller) -> None:
    await many_leads(caller, "keysworks", 3)
    await desk.go("/leads?q=keysworks")
    names = await desk.page.locator("[data-rows] .name").all_text_contents()
    keyboard, focused = desk.page.keyboard, desk.page.locator("[data-rows] a:focus")
    for key, at in (("j", 0), ("j", 1), ("j", 2), ("j", 2), ("k", 1)):
        await keyboard.press(key)
        await expect(focused).to_have_text(names[at])
    await keyboard.press("/")
    await expect(desk.page.get_by_label("Search")).to_be_focused()
    await desk.page.locator("[data-rows] .name").nth(1).focus()
    await keyboard.press("Enter")
    await expect(desk.page.get_by_role("heading", level=1)).to_have_text(names[1])


async def test_a_long_list_goes_on_page_by_page_and_its_csv_has_all_of_it(desk: Desk, caller: Caller) -> None:
    await many_leads(caller, "longworks", COUNT, title="=HYPERLINK(1)")
    await desk.go("/leads?q=longworks&sort=engagement")
    rows = desk.page.locator("[data-rows] [data-key]")
    await expect(rows).to_have_count(50)
    await desk.page.get_by_role("link", name="Next 50").click()
    await expect(rows).to_have_count(COUNT - 50)
    async with desk.page.expect_download() as download:
        await desk.page.get_by_role("link", name="Export as CSV").click()
    path = await (await download.value).path()
    text = path.read_bytes().decode("utf-8-sig")
    found = list(csv.DictReader(io.StringIO(text)))
    assert {row["email"] for row in found} == {f"p{number:02}@longworks.example" for number in range(COUNT)}
    assert {row["title"] for row in found} == {"'=HYPERLINK(1)"}
    assert [float(row["engagement"]) for row in found] == sorted(
        (float(row["engagement"]) for row in found), reverse=True
    )


async def test_an_empty_list_says_what_to_do_next(desk: Desk) -> None:
    await desk.go("/leads?q=nobody+is+called+so")
    await expect(desk.page.locator("#list")).to_contain_text("No lead matches")
    await desk.page.get_by_role("link", name="Show all leads").click()
    await expect(desk.page).to_have_url(f"{desk.url}/leads")
    await desk.go("/leads?cursor=nonsense")
    await expect(desk.page.get_by_role("alert")).to_contain_text("is not a cursor that this list gave")
    await desk.go("/leads?grade=" + "A" * 9)
    await expect(desk.page.get_by_role("alert")).to_contain_text("grade")
    await desk.go("/leads?sort=colour")
    await expect(desk.page.get_by_role("alert")).to_contain_text("sort")
