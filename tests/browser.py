"""A real Chromium (Debian's), for tests of the web pages."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

REQUIRED = "ACCORD_REQUIRE_BROWSER"
ARTEFACTS = Path(__file__).parents[1] / ".artefacts" / "pages"
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
WAIT_MS = 20_000 * PATIENCE

expect.set_options(timeout=WAIT_MS)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Skips the test where there is none, unless ACCORD_REQUIRE_BROWSER says that there must be."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and there is no chromium (Debian, Ubuntu: apt install chromium)")
        pytest.skip("no chromium here")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


class Desk:
    """One person's browser. What the pages complain about in the console is collected; a test must find it empty."""

    def __init__(self, url: str, context: BrowserContext, page: Page) -> None:
        self.url = url
        self.context = context
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        # An answer of 4xx that a test provokes is told as an error, too.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    async def sign_in(self, key: str) -> None:
        await self.page.goto(f"{self.url}/sign-in")
        await self.page.get_by_label("Your key").fill(key)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.get_by_role("button", name="Sign out").wait_for()

    async def go(self, path: str) -> None:
        await self.page.goto(self.url + path)

    async def picture(self, name: str) -> None:
        """A screenshot of the whole page, for people."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)


@asynccontextmanager
async def at_desk(browser: Browser, url: str, **options: Any) -> AsyncIterator[Desk]:
    """A browser without a past. `options` are those of Playwright's `new_context`."""
    chosen = {"viewport": DESK, "timezone_id": "Europe/Berlin", "locale": "en-GB", **options}
    context = await browser.new_context(**chosen)
    context.set_default_timeout(WAIT_MS)
    try:
        yield Desk(url, context, await context.new_page())
    finally:
        await context.close()
