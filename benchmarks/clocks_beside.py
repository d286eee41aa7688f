"""Clocks that run out while the line is busy: `accord run stages` and `accord run sla-monitor`, with sales notes put on
the log at half the rate at which the two can take them. Every announcement waits for what sales had said by then, so
this is the load that it feels most."""

import asyncio
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks.broken import Broken
from benchmarks.child import Child
from benchmarks.clocks import START_SECONDS, Due, accord_command, fill, migrate, run_out
from benchmarks.house import where
from benchmarks.numbers import summary_ms
from benchmarks.progress import unread, until_read
from shared.clock import SystemClock

READERS: Final = frozenset({"stages", "sla-monitor"})
FULL_SECONDS_MAX: Final = 300.0
WARM_UP_NOTES: Final = 1_000
_MONITOR: Final = accord_command("run", "sla-monitor", "--port", "0")


@dataclass(frozen=True)
class Beside:
    """`full_per_second` notes went through stages and sla_monitor while nothing else was asked of them; `per_second`
    while the clocks ran out. `announced` is from the deadline until the breach could be read from the log."""

    full_per_second: float
    per_second: float
    open_clocks: int
    due: int
    announced: dict[str, float]
    within_1_s: float


async def measure_clocks_beside(database_url: str, log: Path, due: Due, notes: int) -> Beside:
    """On a new database; `notes` are what the full rate is measured with."""
    environment = where(database_url, None)
    migrate(log, environment)
    connection: Any = await asyncpg.connect(database_url)
    try:
        far = SystemClock().now() + timedelta(days=20)
        await fill(connection, [far + timedelta(seconds=number) for number in range(due.open_clocks)], seed=1)
        with Child(accord_command("run", "stages", "--port", "0"), log, environment):
            with Child(_MONITOR, log, environment):
                await _full_rate(connection, Notes(log, environment, WARM_UP_NOTES))
                full = await _full_rate(connection, Notes(log, environment, notes))
            # What is put in its tables behind its back is seen by a monitor that starts.
            first = await _fill_due(connection, due)
            with Child(_MONITOR, log, environment) as monitor:
                late = await _at_half(connection, monitor, due, first, Notes(log, environment, 0, full / 2))
    finally:
        await connection.close()
    return Beside(
        full_per_second=round(full),
        per_second=round(full / 2),
        open_clocks=due.open_clocks,
        due=len(late),
        announced=summary_ms(late),
        within_1_s=round(sum(one <= 1 for one in late) / len(late), 4),
    )


class Notes(Child):
    """The process that puts them on the log."""

    def __init__(self, log: Path, environment: Any, count: int, per_second: float = 0) -> None:
        super().__init__([sys.executable, "-m", "benchmarks.notes", str(count), str(per_second)], log, environment)
        self._of = (log, environment)
        self.count = count
        self.per_second = per_second

    def lasting(self, seconds: float) -> "Notes":
        """As many as make this time."""
        return Notes(*self._of, int(self.per_second * seconds), self.per_second)


async def _full_rate(connection: Any, notes: Notes) -> float:
    """Notes a second from the first one on the log until both services have read all that followed."""
    with notes:
        while not any((await unread(connection)).values()):
            notes.check()
            await asyncio.sleep(0.002)
        began = time.monotonic()
        if notes.wait(FULL_SECONDS_MAX) != 0:
            raise Broken(f"the notes were not put: {notes.said()}")
    return notes.count / (await until_read(connection, READERS, FULL_SECONDS_MAX) - began)


async def _fill_due(connection: Any, due: Due) -> datetime:
    """The first deadline."""
    first = SystemClock().now() + timedelta(seconds=START_SECONDS)
    deadlines = [first + timedelta(seconds=number / due.per_second) for number in range(due.total)]
    await fill(connection, deadlines, seed=2)
    return first


async def _at_half(connection: Any, monitor: Child, due: Due, first: datetime, notes: Notes) -> list[float]:
    """Seconds from each deadline until its breach was read. The notes begin before the first and end after the last."""
    left = (first - SystemClock().now()).total_seconds()
    with notes.lasting(left + due.seconds + 2):
        late, _ = await run_out(connection, monitor, due.total, first)
    await until_read(connection, READERS, FULL_SECONDS_MAX)
    return late
