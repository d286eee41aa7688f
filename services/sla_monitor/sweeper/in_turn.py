"""Several things to do on time, as one `Ticker`."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from shared.events.envelope import Outgoing
from shared.stream.carrier import Transaction
from shared.stream.handler import Ticker


class InTurn:
    """Implements `Ticker`: what was done last is asked last, so that nothing busy keeps the others waiting."""

    def __init__(self, *tickers: Ticker) -> None:
        self._tickers = deque(tickers)
        self._due: Ticker | None = None

    async def seconds_to_next(self, now: datetime) -> float | None:
        waits: list[float] = []
        for ticker in tuple(self._tickers):
            seconds = await ticker.seconds_to_next(now)
            if seconds is not None and seconds <= 0:
                self._due = ticker
                return 0
            if seconds is not None:
                waits.append(seconds)
        return min(waits, default=None)

    async def tick(self, transaction: Transaction, now: datetime) -> Sequence[Outgoing]:
        due, self._due = self._due, None
        if due is None:
            return ()
        self._tickers.remove(due)
        self._tickers.append(due)
        return await due.tick(transaction, now)
