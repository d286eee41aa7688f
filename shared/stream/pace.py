"""The pace of one owner's steps: those of a busy line begin a few milliseconds apart, so that events share them.

A step costs about the same for one event as for ten. An event that comes after a rest goes through at once.
"""

import asyncio

INTERVAL_SECONDS = 0.008
# A request to a broker is cheaper than a step.
SHARE_SECONDS = 0.003


class Pace:
    """Knows when the last step began."""

    def __init__(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._interval_seconds = interval_seconds
        self._next_at = float("-inf")

    async def wait(self) -> None:
        """Returns when the next step may begin: at once, unless the last one began just now."""
        pause_seconds = self._next_at - asyncio.get_running_loop().time()
        if pause_seconds > 0:
            await asyncio.sleep(pause_seconds)

    def begin(self) -> None:
        """A step begins."""
        self._next_at = asyncio.get_running_loop().time() + self._interval_seconds
