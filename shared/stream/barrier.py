"""Waiting until a service has read to an end: how a caller sees the result of what it published."""

import asyncio

from shared.stream.carrier import Carrier, End

_FIRST_PAUSE_SECONDS = 0.002
_LONGEST_PAUSE_SECONDS = 0.05


async def wait_until_read(
    carrier: Carrier, service: str, topic: str, *, partition: int, end: End, timeout_seconds: float
) -> bool:
    """True once the service has read all that `end` counts, False at the time-out.

    `end` is what `Carrier.end` said after the event was published. Polls with a growing pause: a position moves
    in another process, and no notice of it is promised.
    """
    pause = _FIRST_PAUSE_SECONDS
    ends_at = asyncio.get_running_loop().time() + timeout_seconds
    while not await carrier.has_read(service, topic, partition, end):
        remaining = ends_at - asyncio.get_running_loop().time()
        if remaining <= 0:
            return False
        await asyncio.sleep(min(pause, remaining))
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
    return True
