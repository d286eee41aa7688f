"""Reports are made anew while that is quick, and shared while it isn't."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from services.api.pages.reports import Reports, Shown


class Database:
    """Takes as long as it is told; its time passes only meanwhile. Answers with how often it was asked."""

    def __init__(self, takes: float) -> None:
        self.takes = takes
        self.now = 0.0
        self.asked = 0
        self.is_away = False

    def time(self) -> float:
        return self.now

    async def make(self) -> int:
        self.asked += 1
        self.now += self.takes
        if self.is_away:
            raise ConnectionError
        return self.asked


async def settled(reports: Reports, make: Callable[[], Awaitable[int]]) -> Shown:
    """What is shown after everything that is under way has ended."""
    for _ in range(3):
        await asyncio.sleep(0)
    return await reports.get("x", make)


async def test_what_is_quick_is_always_made_anew() -> None:
    database = Database(0.04)
    reports = Reports(database.time)
    for number in (1, 2, 3):
        assert await reports.get("x", database.make) == (number, False)


async def test_what_takes_long_is_made_a_tenth_of_the_time_and_shown_meanwhile() -> None:
    database = Database(1.0)
    reports = Reports(database.time)
    assert await reports.get("x", database.make) == (1, False)
    for _ in range(5):
        assert await reports.get("x", database.make) == (1, True)
    database.now += 9.5
    assert await asyncio.gather(*[reports.get("x", database.make) for _ in range(4)]) == [(1, True)] * 4
    assert await settled(reports, database.make) == (2, True)
    assert database.asked == 2


async def test_what_has_become_quick_is_made_anew_again() -> None:
    database = Database(1.0)
    reports = Reports(database.time)
    await reports.get("x", database.make)
    database.takes, database.now = 0.01, 50
    await reports.get("x", database.make)
    assert await settled(reports, database.make) == (3, False)


@pytest.mark.parametrize(("takes", "shown"), [(0.2, 60), (5.0, 500)])
async def test_what_is_old_is_waited_for_unless_that_takes_long(takes: float, shown: float) -> None:
    database = Database(takes)
    reports = Reports(database.time)
    await reports.get("x", database.make)
    database.now = takes + shown + 1
    assert await reports.get("x", database.make) == (2, False)
    database.now += shown - 1
    assert await reports.get("x", database.make) == (2, True)
    await settled(reports, database.make)


async def test_a_report_that_fails_is_asked_for_again_by_the_next_reader() -> None:
    database = Database(1.0)
    reports = Reports(database.time)
    await reports.get("x", database.make)
    database.is_away, database.now = True, 50
    assert await reports.get("x", database.make) == (1, True)
    with pytest.raises(ConnectionError):
        await settled(reports, database.make)
