"""What everybody must be able to use: axe on each page in both themes, 360 px, little to load, pictures for people."""

from typing import Literal, NamedTuple

import aiohttp
import pytest
import pytest_asyncio
from axe import complaints
from browser import PHONE, Desk, at_desk
from pages_season import play
from playwright.async_api import Browser, Request, StorageState, expect
from running_accord import ADMIN_KEY, Caller, RunningAccord

Theme = Literal["light", "dark"]
PAGES = {
    "sign-in": "/sign-in",
    "today": "/",
    "clocks": "/clocks",
    "accord": "/accord",
    "version": "/accord/1",
    "propose": "/accord/propose",
    "sources": "/sources",
    "source": "/sources/{source}",
    "operations": "/operations",
    "leads": "/leads",
    "lead": "/leads/{lead}",
}
BYTES_MAX = 150 * 1024
_TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def names(shared_accord: RunningAccord) -> dict[str, str]:
    """A qualified lead and a source, among many."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        caller = Caller(session, shared_accord.url)
        qualified = await play(caller)
        sources = await caller.get("/v1/sources")
        return {"lead": qualified[0], "source": sources.json["items"][0]["id"]}


class Board(NamedTuple):
    """The shared Accord with a season in it, and a browser's cookies after signing in."""

    url: str
    names: dict[str, str]
    cookies: StorageState


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def board(browser: Browser, shared_accord: RunningAccord, names: dict[str, str]) -> Board:
    async with at_desk(browser, shared_accord.url) as desk:
        await desk.sign_in(ADMIN_KEY)
        return Board(shared_accord.url, names, await desk.context.storage_state())


async def show(desk: Desk, page: str, names: dict[str, str]) -> None:
    if page == "sign-in":
        await desk.context.clear_cookies()
    await desk.go(PAGES[page].format(**names))
    await desk.page.locator("main h1").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
async def test_axe_finds_nothing(browser: Browser, board: Board, page: str, theme: Theme) -> None:
    options = {"color_scheme": theme, "reduced_motion": "reduce", "storage_state": board.cookies}
    async with at_desk(browser, board.url, **options) as desk:
        await show(desk, page, board.names)
        await desk.picture(f"{page}-{theme}")
        assert await complaints(desk.page) == []
        assert desk.complaints == []


@pytest.mark.parametrize("page", PAGES)
async def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser, board: Board, page: str) -> None:
    async with at_desk(browser, board.url, viewport=PHONE, has_touch=True, storage_state=board.cookies) as desk:
        await show(desk, page, board.names)
        await desk.picture(f"{page}-phone")
        assert await desk.page.evaluate(_TOO_WIDE) <= 0


@pytest.mark.parametrize("page", PAGES)
async def test_it_is_light_to_a_browser_that_was_never_here(browser: Browser, board: Board, page: str) -> None:
    async with at_desk(browser, board.url, storage_state=board.cookies) as desk:
        finished: list[Request] = []
        desk.page.on("requestfinished", lambda request: finished.append(request))
        await show(desk, page, board.names)
        await desk.page.wait_for_load_state("load")
        sizes = [await request.sizes() for request in finished]
        assert {"document", "stylesheet", "script"} <= {request.resource_type for request in finished}
        assert sum(size["responseBodySize"] for size in sizes) < BYTES_MAX


@pytest.mark.parametrize("page", ["accord", "lead"])
async def test_on_paper_it_shows_what_is_so_and_nothing_to_press(browser: Browser, board: Board, page: str) -> None:
    async with at_desk(browser, board.url, storage_state=board.cookies) as desk:
        await show(desk, page, board.names)
        await desk.page.emulate_media(media="print")
        await desk.picture(f"{page}-paper")
        await expect(desk.page.locator("main h2").first).to_be_visible()
        await expect(
            desk.page.locator("button, input, select, nav[aria-label=Main]").locator("visible=true")
        ).to_have_count(0)
