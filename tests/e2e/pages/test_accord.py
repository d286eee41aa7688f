"""The accord in the browser: read, changed, signed by both sides, in effect. Its own Accord, for it changes scores."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest_asyncio
from browser import PHONE, Desk, at_desk
from builders import eventually
from playwright.async_api import Browser, Page, expect
from running_accord import Caller, RunningAccord, has_applied, start_accord

HOSTILE = "<img src=x onerror=alert(1)> ‮evil"
LONG = "W" * 190
FIRST = f"""\
accord: 1
name: "{HOSTILE}"
calendar: {{timezone: UTC, hours: {{mon: ["00:00-24:00"]}}}}
scoring:
  engagement:
    rules:
      - {{id: survey, activity: survey.completed, points: 15, half_life: never}}
      - {{id: "<script>alert(2)</script>", activity: page.viewed, where: {{path: "{LONG}"}}, points: 1}}
stages:
  mql: {{engagement: {{gte: 100}}}}
  rejection_reasons: {{"<b>why</b>": recycled}}
"""
READING = ("accords:read", "leads:read", "stream:read")
LEAD = "mary@okapi.example"


@dataclass
class House:
    """An Accord with its first version in effect, and one lead that has completed a survey."""

    running: RunningAccord
    caller: Caller
    browser: Browser

    async def key(self, role: str, name: str, *scopes: str) -> str:
        made = await self.caller.post("/v1/keys", {"name": name, "role": role, "scopes": [*READING, *scopes]})
        assert made.status == 201, made
        return str(made.json["key"])

    async def desk(self, at: AsyncExitStack, key: str) -> Desk:
        desk = await at.enter_async_context(at_desk(self.browser, self.running.url))
        await desk.sign_in(key)
        return desk


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(browser: Browser, session_folder: Path) -> AsyncIterator[House]:
    folder = session_folder / "of-accord-pages"
    folder.mkdir(mode=0o755)
    agreement = folder / "first.yaml"
    agreement.write_text(FIRST, encoding="utf-8")
    running = await start_accord(folder, agreement)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            house = House(running, Caller(session, running.url), browser)
            await house.caller.post("/v1/events", {"type": "survey.completed", "lead": {"email": LEAD}})
            await eventually(lambda: is_worth(house, 15.0, 1), within=20)
            yield house
    finally:
        running.process.stop()


async def is_worth(house: House, engagement: float, version: int) -> bool:
    return await has_applied(
        house.caller, LEAD, lambda lead: (lead["engagement"], lead["accord"]) == (engagement, version)
    )


async def write(page: Page, right: str, wrong: str) -> None:
    """Changes the document as it stands in the form."""
    text = await page.get_by_role("textbox", name="The document").input_value()
    assert right in text
    await page.get_by_role("textbox", name="The document").fill(text.replace(right, wrong, 1))


async def test_both_sides_read_it_and_hostile_names_are_only_words(house: House) -> None:
    async with AsyncExitStack() as at:
        desk = await house.desk(at, await house.key("sales", HOSTILE))
        await desk.go("/accord")
        agreed = desk.page.locator(".agreement")
        await expect(agreed).to_contain_text(f"This is what marketing and sales of {HOSTILE} have agreed.")
        await expect(agreed).to_contain_text("15 points for “survey completed”. These points do not fade.")
        await expect(agreed).to_contain_text("A lead that sales rejects as “<b>why</b>” is recycled")
        await expect(desk.page.locator("main script, main img, main b")).to_have_count(0)
        await expect(desk.page.get_by_role("link", name="Propose a change")).to_have_count(0)
        await desk.go("/accord/propose")
        await expect(desk.page.locator("main")).to_contain_text("This key can't propose")
        await desk.go("/accord/7")
        await expect(desk.page.get_by_role("heading", level=1)).to_have_text("No such accord")
        await desk.page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        await desk.go("/accord")
        too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await desk.page.evaluate(too_wide) <= 0
        assert desk.complaints == []


async def test_mistakes_show_their_line_and_field_while_typing(house: House) -> None:
    async with AsyncExitStack() as at:
        desk = await house.desk(at, await house.key("marketing", "Mary", "accord:propose"))
        page = desk.page
        await desk.go("/accord/propose")
        found = page.locator("#findings")
        await expect(found).to_contain_text("Nothing yet: it decides the same as version 1")
        await write(page, "points: 15", "points: many")
        await expect(found.get_by_role("status")).to_have_text("1 mistake")
        await expect(found).to_contain_text("scoring.engagement.rules[0].points")
        await expect(page.locator(".numbers .faulty")).to_have_text("7")
        await found.get_by_role("button", name="Line 7").click()
        await expect(page.get_by_role("textbox", name="The document")).to_be_focused()
        assert "points: many" in await page.evaluate("getSelection().toString()")
        await page.get_by_role("button", name="Propose").click()
        await expect(page.get_by_role("alert")).to_contain_text("It was not proposed")
        await expect(page.get_by_role("button", name="Line 7")).to_be_visible()
        await write(page, "points: many", "points: 25")
        await expect(page.locator("#findings").get_by_role("status")).to_have_text("Valid")
        await expect(page.locator("#findings")).to_contain_text("survey: 15 → 25 points")
        await expect(page.locator(".numbers .faulty")).to_have_count(0)
        assert [item["version"] for item in (await house.caller.get("/v1/accords")).json["items"]] == [1]
        assert desk.complaints == []


async def test_a_change_is_proposed_signed_by_both_and_changes_scores(house: House) -> None:
    async with AsyncExitStack() as at:
        marketing = await house.desk(at, await house.key("marketing", "Mary", "accord:propose", "accord:sign"))
        sales = await house.desk(at, await house.key("sales", "Sam", "accord:sign"))
        await sales.go("/accord")
        await marketing.go("/accord/propose")
        await write(marketing.page, "points: 15", "points: 20")
        await marketing.page.get_by_role("button", name="Propose").click()
        await expect(marketing.page).to_have_url(f"{marketing.url}/accord/2?done=proposed")
        await expect(marketing.page.locator("#changes")).to_contain_text("survey: 15 → 20 points")
        await expect(marketing.page.locator(".is-changed")).to_have_text(
            "Changed: 20 points for “survey completed”. These points do not fade.survey"
        )
        await sales.page.get_by_role("link", name="Version 2").first.click()
        await marketing.page.get_by_role("button", name="Sign for marketing").click()
        await expect(marketing.page.locator("#signatures")).to_contain_text("Marketing has signed version 2 already")
        # Sam sees it without doing anything.
        await expect(sales.page.locator("#signatures")).to_contain_text("Mary")
        await sales.page.get_by_role("button", name="Sign for sales").click()
        await expect(sales.page.locator("#signatures")).to_contain_text("is signed by both sides and takes effect in")
        await expect(marketing.page.locator("#signatures .tag")).to_have_text("effective")
        await expect(marketing.page.locator("#rescore")).to_contain_text("finished")
        await expect(marketing.page.locator("#rescore")).to_contain_text("1 of 1")
        assert await is_worth(house, 20.0, 2)
        await sales.go("/accord/1")
        await expect(sales.page.locator("#signatures")).to_contain_text(
            "decided from the beginning until a later version"
        )
        assert (marketing.complaints, sales.complaints) == ([], [])


async def test_the_wrong_person_sees_why_and_a_proposal_is_withdrawn(house: House) -> None:
    async with AsyncExitStack() as at:
        marketing = await house.desk(at, await house.key("marketing", "Mary", "accord:propose", "accord:sign"))
        other = await house.desk(at, await house.key("operations", "Olga", "accord:sign"))
        reader = await house.desk(at, await house.key("sales", "Rita"))
        await marketing.go("/accord/propose")
        await write(marketing.page, "half_life: never", "half_life: 40d")
        await marketing.page.get_by_label("Takes effect").fill("2020-01-01T08:00")
        await expect(marketing.page.locator("#findings")).to_contain_text("must come at least 10 s")
        await marketing.page.get_by_label("Takes effect").fill("2099-01-01T08:00")
        await marketing.page.get_by_role("button", name="Propose").click()
        await expect(marketing.page.locator("#signatures")).to_contain_text("1 Jan 2099 08:00")
        number = marketing.page.url.rpartition("/")[2].partition("?")[0]
        await other.go(f"/accord/{number}")
        await expect(other.page.locator(".why-not")).to_contain_text("This key is of role operations.")
        await reader.go(f"/accord/{number}")
        await expect(reader.page.locator(".why-not")).to_contain_text("lacks the scope accord:sign")
        await expect(reader.page.locator("#signatures button")).to_have_count(0)
        await expect(reader.page.get_by_role("link", name="Propose from this text")).to_have_count(0)
        await marketing.page.get_by_role("button", name="Withdraw the proposal").click()
        await expect(marketing.page.locator("#signatures .tag")).to_have_text("withdrawn")
        await expect(marketing.page.locator(".done")).to_have_text("The proposal is withdrawn.")
        assert marketing.complaints + other.complaints + reader.complaints == []


async def test_it_works_without_scripts(house: House) -> None:
    key = await house.key("marketing", "Mary", "accord:propose", "accord:sign")
    async with at_desk(house.browser, house.running.url, java_script_enabled=False) as desk:
        await desk.sign_in(key)
        await desk.go("/accord/propose?from=1")
        await write(desk.page, "points: 15", "points: none")
        await desk.page.get_by_role("button", name="Check").click()
        await expect(desk.page.locator("#findings")).to_contain_text("Line 7")
        await write(desk.page, "points: none", "points: 30")
        await desk.page.get_by_role("button", name="Propose").click()
        await desk.page.get_by_role("button", name="Sign for marketing").click()
        await expect(desk.page.locator(".done")).to_have_text("Your signature is on it.")
        await desk.page.get_by_role("button", name="Withdraw the proposal").click()
        await expect(desk.page.locator("#signatures .tag")).to_have_text("withdrawn")


async def test_texts_that_are_no_document_are_refused_in_words(house: House) -> None:
    async with AsyncExitStack() as at:
        desk = await house.desk(at, await house.key("marketing", "Mary", "accord:propose"))
        await desk.go("/accord/propose")
        csrf = await desk.page.locator("#proposal [name=csrf]").input_value()
        for text, words in (
            ("accord: 1\n\0", "must not contain a NUL character"),
            ("", "Found nothing"),
            ("[" * 5_000, "Line 1"),
            ("a" * 1_100_000, "can't be proposed now"),
            ("name: <script>alert(1)</script>\r\naccord: 2", "Line 2"),
        ):
            form: dict[str, str | float | bool] = {"csrf": csrf, "document": text}
            answer = await desk.context.request.post(f"{desk.url}/accord/propose/findings", form=form)
            assert answer.status == 200, words
            told = await answer.text()
            assert words in told.replace("&#39;", "'"), told
            assert "<script>" not in told
        forged = await desk.context.request.post(f"{desk.url}/accord/propose", form={"csrf": "x", "document": FIRST})
        assert forged.status == 403
