"""The pages of the shared `accord up`, in a real browser. All tests here run on the loop of the session, as it does."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from browser import Desk, at_desk, chromium
from playwright.async_api import Browser
from running_accord import ADMIN_KEY, Caller, RunningAccord


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e/pages/" in item.nodeid:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def caller(shared_accord: RunningAccord) -> AsyncIterator[Caller]:
    """Calls with the admin key."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield Caller(session, shared_accord.url)


@pytest_asyncio.fixture(loop_scope="session")
async def desk(browser: Browser, shared_accord: RunningAccord) -> AsyncIterator[Desk]:
    """The browser of an administrator who has signed in. Nothing may have been complained of in its console."""
    async with at_desk(browser, shared_accord.url) as desk:
        await desk.sign_in(ADMIN_KEY)
        yield desk
        assert desk.complaints == []
