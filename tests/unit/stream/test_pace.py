"""A lone step begins at once; steps of a busy line begin apart."""

import asyncio
from itertools import pairwise

from patience import within

from shared.stream.pace import Pace


async def test_a_step_after_a_rest_begins_at_once() -> None:
    pace = Pace(interval_seconds=60)
    async with within(5):
        await pace.wait()
        await pace.wait()


async def test_the_next_step_begins_no_sooner_than_the_interval_after_the_last_one_began() -> None:
    pace, clock = Pace(interval_seconds=0.05), asyncio.get_running_loop()
    began = []
    for _ in range(3):
        await pace.wait()
        pace.begin()
        began.append(clock.time())
    # An event loop may wake a sleeper a clock tick early.
    assert all(later - earlier > 0.049 for earlier, later in pairwise(began))
