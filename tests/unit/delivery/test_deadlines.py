"""What takes too long is ended, and nothing else: neither what ends in time nor what somebody else ends."""

import asyncio

import pytest

from services.delivery.sweeper.deadlines import Deadlines


async def test_what_takes_too_long_times_out_and_the_task_goes_on() -> None:
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(TimeoutError):
        await Deadlines().within(0.01, asyncio.Event().wait())
    assert task.cancelling() == 0


async def test_each_of_many_has_its_own_time() -> None:
    deadlines, answered = Deadlines(), asyncio.Event()

    async def ends_in_time(seconds: float, what: asyncio.Event) -> bool:
        try:
            await deadlines.within(seconds, what.wait())
        except TimeoutError:
            answered.set()
            return False
        return True

    # What is answered only when others have timed out has its time still.
    asked = [ends_in_time(0.01, asyncio.Event()), ends_in_time(60, answered), ends_in_time(0.01, asyncio.Event())]
    assert await asyncio.gather(*asked) == [False, True, False]


async def test_who_is_cancelled_meanwhile_stays_cancelled() -> None:
    has_begun = asyncio.Event()

    async def wait() -> None:
        has_begun.set()
        await Deadlines().within(0.01, asyncio.Event().wait())

    task = asyncio.create_task(wait())
    await has_begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_what_was_done_is_told_as_it_is() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Deadlines().within(1, fail())
