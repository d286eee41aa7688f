"""One `accord up` for all e2e tests that only need some Accord; its log stands in the report of a test that fails."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from running_accord import Caller, RunningAccord, start_accord

from services.demo.settings import ACCORD

_LOG_CHARACTERS_SHOWN = 8_000


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """A folder that every user can enter, for as long as the run lasts."""
    folder = Path(tempfile.mkdtemp(prefix="accord-e2e-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_accord(session_folder: Path) -> AsyncIterator[RunningAccord]:
    """Runs the accord of the demo, with clocks of seconds."""
    accord = await start_accord(session_folder, ACCORD)
    yield accord
    assert accord.process.stop() == 0


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
def caller(shared_accord: RunningAccord, session: aiohttp.ClientSession) -> Caller:
    """Calls with the admin key."""
    return Caller(session, shared_accord.url)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        values: list[Any] = list(getattr(item, "funcargs", {}).values())
        for accord in (value for value in values if isinstance(value, RunningAccord)):
            report.sections.append(("log of accord up", accord.logged()[-_LOG_CHARACTERS_SHOWN:]))
    return report
