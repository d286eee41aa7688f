"""Clocks that run out beside many that don't: `accord run sla-monitor` on tables that the benchmark has filled, watched
from outside; the calendar alone; and the naive way, a scan of all open clocks."""

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from benchmarks.broken import Broken
from benchmarks.child import Child
from benchmarks.house import where
from benchmarks.numbers import summary_ms
from benchmarks.processes import cpu_seconds, peak_bytes
from services.carriers import DEFAULT_PARTITIONS
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import default_accord_text, load_accord
from shared.clock import SystemClock
from shared.events.topics import SLA, partition_of

RULE: Final = "work-the-opportunity"  # of the default accord: 14 days of plain time, and only a breach on its ladder
WITHIN: Final = timedelta(days=14)
MIGRATE_SECONDS: Final = 60
START_SECONDS: Final = 15.0  # the monitor owns every partition by then
LOOK_SECONDS: Final = 0.002
ANNOUNCED_WITHIN_SECONDS: Final = 60.0
COUNTED_SECONDS: Final = 1.0

_LEADS = """INSERT INTO sla.leads (lead_id, entry, stage, owner, team, accord, inputs, after_seq, touches, snapshot)
SELECT id, 1, 'sql', 'ada@sales.example', 'enterprise', 1, 0, NULL, '{}', '{}' FROM unnest($1::uuid[]) AS id"""
_CLOCKS = """INSERT INTO sla.clocks (lead_id, clock_id, partition, rule, attempt, accord, entry, state, owner, team,
    started_at, deadline, ladder_steps, next_due_at, is_lagging)
SELECT id, id, partition, $4, 1, 1, 1, 'open', 'ada@sales.example', 'enterprise', deadline - $5::interval, deadline, 0,
    deadline, false
FROM unnest($1::uuid[], $2::smallint[], $3::timestamptz[]) AS c(id, partition, deadline)"""
# Each partition by the log's key: its looks take Postgres from the line.
_TOLD = """SELECT l.partition, l.log_offset, l.occurred_at
FROM stream.topics AS t CROSS JOIN unnest($2::bigint[]) WITH ORDINALITY AS want(start, number)
CROSS JOIN LATERAL (
    SELECT partition, log_offset, occurred_at FROM stream.log
    WHERE topic_id = t.topic_id AND partition = (want.number - 1)::smallint AND log_offset >= want.start
    ORDER BY log_offset LIMIT 500) AS l
WHERE t.name = $1"""
_OPEN = """SELECT lead_id, clock_id, rule, accord, started_at, deadline FROM sla.clocks
WHERE state IN ('open', 'warned', 'paused')"""


@dataclass(frozen=True)
class Clocks:
    """`announced` is from the deadline until the breach could be read from the log; `naive_scan_seconds` what one look
    at every open clock takes."""

    open_clocks: int
    due: int
    due_per_second: float
    announced: dict[str, float]
    within_100_ms: float
    monitor_bytes: int
    monitor_cpu_seconds_per_1000: float
    naive_scan_seconds: float
    deadlines_per_second: dict[str, float]


class Due(NamedTuple):
    """How many clocks run, and how fast they run out."""

    open_clocks: int
    per_second: float
    seconds: float

    @property
    def total(self) -> int:
        """How many run out."""
        return int(self.per_second * self.seconds)


async def measure_clocks(database_url: str, log: Path, due: Due) -> Clocks:
    """On a new database. The monitor runs alone: nothing else is on the line, so what is late is its own doing."""
    environment = where(database_url, None)
    migrate(log, environment)
    connection: Any = await asyncpg.connect(database_url)
    try:
        far = SystemClock().now() + timedelta(days=20)
        await fill(connection, [far + timedelta(seconds=number) for number in range(due.open_clocks)], seed=1)
        await connection.execute("VACUUM ANALYZE sla.clocks")
        scan = await _scan(connection)
        first = SystemClock().now() + timedelta(seconds=START_SECONDS)
        deadlines = [first + timedelta(seconds=number / due.per_second) for number in range(due.total)]
        await fill(connection, deadlines, seed=2)
        with Child(accord_command("run", "sla-monitor", "--port", "0"), log, environment) as monitor:
            late, spent = await run_out(connection, monitor, due.total, first)
            size = peak_bytes(monitor.pid)
    finally:
        await connection.close()
    return Clocks(
        open_clocks=due.open_clocks,
        due=len(late),
        due_per_second=due.per_second,
        announced=summary_ms(late),
        within_100_ms=round(sum(one <= 0.1 for one in late) / len(late), 4),
        monitor_bytes=size,
        monitor_cpu_seconds_per_1000=round(spent / len(late) * 1_000, 3),
        naive_scan_seconds=round(scan, 3),
        deadlines_per_second=deadlines_per_second(),
    )


async def run_out(connection: Any, monitor: Child, count: int, first: datetime) -> tuple[list[float], float]:
    """Seconds from each deadline until its breach was read, and the CPU time of the monitor from the first on."""
    await asyncio.sleep(max(0.0, (first - SystemClock().now()).total_seconds() - 0.1))
    before = cpu_seconds(monitor.pid)
    late: list[float] = []
    positions = [0] * DEFAULT_PARTITIONS
    ends_at = time.monotonic() + ANNOUNCED_WITHIN_SECONDS
    while len(late) < count:
        monitor.check()
        if time.monotonic() > ends_at:
            raise Broken(f"{len(late)} of {count} breaches were announced: {monitor.said()}")
        rows = await connection.fetch(_TOLD, SLA, positions)
        now = SystemClock().now()
        for partition, offset, occurred_at in rows:
            positions[partition] = offset + 1
            late.append((now - occurred_at).total_seconds())
            ends_at = time.monotonic() + ANNOUNCED_WITHIN_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
    return late, cpu_seconds(monitor.pid) - before


async def fill(connection: Any, deadlines: Sequence[datetime], *, seed: int) -> None:
    """A clock of a lead of its own for each deadline, as steps would have left them."""
    random = Random(seed)
    for start in range(0, len(deadlines), 20_000):
        chunk = deadlines[start : start + 20_000]
        ids = [UUID(int=random.getrandbits(128), version=4) for _ in chunk]
        partitions = [partition_of(id, DEFAULT_PARTITIONS) for id in ids]
        await connection.execute(_LEADS, ids)
        await connection.execute(_CLOCKS, ids, partitions, chunk, RULE, WITHIN)


async def _scan(connection: Any) -> float:
    """What others do once a minute: read every open clock and look whether it has run out."""
    started, now = time.perf_counter(), SystemClock().now()
    overdue = [row for row in await connection.fetch(_OPEN) if row["deadline"] <= now]
    assert not overdue
    return time.perf_counter() - started


def migrate(log: Path, environment: Any) -> None:
    """Tables and topics."""
    with Child(accord_command("migrate"), log, environment) as migrating:
        if migrating.wait(MIGRATE_SECONDS) != 0:
            raise Broken(f"accord migrate failed: {migrating.said()}")


def accord_command(*arguments: str) -> list[str]:
    """As an operator would type it."""
    return [sys.executable, "-m", "services.cli", *arguments]


def deadlines_per_second() -> dict[str, float]:
    """Of the default accord's calendar on one core, by the length of the span, in seconds of CPU time."""
    calendar = compile_accord(load_accord(default_accord_text()), 1).calendar
    start = datetime(2026, 1, 1, tzinfo=UTC)
    starts = [start + timedelta(minutes=37 * number) for number in range(10_000)]
    found: dict[str, float] = {}
    for name, within in (("8h", timedelta(hours=8)), ("month", timedelta(hours=160)), ("year", timedelta(hours=2_000))):
        calendar.deadline(starts[-1], within)
        counted, began = 0, time.process_time()
        while (spent := time.process_time() - began) < COUNTED_SECONDS:
            for at in starts:
                calendar.deadline(at, within)
            counted += len(starts)
        found[name] = round(counted / spent)
    return found
