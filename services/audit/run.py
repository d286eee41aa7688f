"""One audit: everything is read in one snapshot, by as many processes as are worth it."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, pairwise
from multiprocessing import get_context
from typing import Any, NamedTuple
from uuid import UUID

import uvloop

from services.audit import line_sql, nobodies_sql, outcomes_sql, reports_sql
from services.audit.findings import SHOWN_MAX, Check, Findings
from services.audit.folds import fold_range
from services.audit.line_sql import Line, Statement
from services.audit.tables import Range
from shared.db.accord_book import AccordBook
from shared.db.connections import connect
from shared.events.topics import ACTIVITY, LIFECYCLE, SALES, SCORE, SLA

# Below so many inputs one process is done before others have started.
INPUTS_PER_PROCESS_MIN = 20_000
_ALL = Range(UUID(int=0), UUID(int=(1 << 128) - 1))
_PARTITIONS = "SELECT value::integer FROM stream.settings WHERE name = 'partitions'"
_BOUNDS = """SELECT percentile_disc($1::double precision[]) WITHIN GROUP (ORDER BY lead_id) FROM scoring.history"""
# The objects of a fold die young, by reference counting.
_YOUNG_OBJECTS = 50_000


@dataclass
class Audit:
    """What was found, in which snapshot; by service what was still on its way, and what operators skipped."""

    findings: Findings
    taken_at: datetime
    in_flight: dict[str, int]
    skipped: dict[str, int]
    seconds: float = 0.0

    @property
    def counts(self) -> Mapping[str, int]:
        """How much there is: accepted, leads, qualified, clocks, breached, dead_letters."""
        return self.findings.counts

    @property
    def is_clean(self) -> bool:
        return not self.findings.differences


class Job(NamedTuple):
    """What a process needs to fold its part of the leads."""

    database_url: str
    snapshot: str
    leads: Range
    line: Line


async def audit(database_url: str, processes: int = 1) -> Audit:
    """Changes nothing. `processes` is the most that may fold at the same time."""
    began = time.monotonic()
    async with _snapshot(database_url) as connection:
        line = await _line(connection)
        done = Audit(
            Findings(),
            await connection.fetchval("SELECT now()"),
            dict(await connection.fetch(line_sql.IN_FLIGHT)),
            dict(await connection.fetch(line_sql.SKIPPED)),
        )
        inputs = await connection.fetchval("SELECT count(*) FROM scoring.history")
        count = max(1, min(processes, inputs // INPUTS_PER_PROCESS_MIN))
        if count == 1:
            accords = await AccordBook().refresh(connection)
            done.findings.add(await fold_range(connection, _ALL, line, accords))
            await _check_line(connection, line, done.findings)
        else:
            await _fold_apart(connection, database_url, line, count, done.findings)
        await _check_loads(connection, done.findings)
        done.findings.settle(await _on_kafka_alone(connection) if line.is_on_kafka else {})
        await _count(connection, done.findings)
    done.seconds = time.monotonic() - began
    return done


async def _fold_apart(connection: Any, database_url: str, line: Line, count: int, findings: Findings) -> None:
    """Folds in processes of their own, on the same snapshot, while this one checks the line."""
    snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
    bounds = await connection.fetchval(_BOUNDS, [part / count for part in range(1, count)])
    jobs = [Job(database_url, snapshot, leads, line) for leads in _ranges(bounds)]
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        parts = [loop.run_in_executor(pool, run_job, job) for job in jobs]
        await _check_line(connection, line, findings)
        for part in parts:
            findings.add(await part)


def _ranges(bounds: Sequence[UUID]) -> Iterator[Range]:
    """All leads, cut after each of these."""
    ends = sorted({UUID(int=bound.int) for bound in bounds} - {_ALL.last})
    for before, last in pairwise((None, *ends, _ALL.last)):
        yield Range(_ALL.first if before is None else UUID(int=before.int + 1), last or _ALL.last)


def run_job(job: Job) -> Findings:
    """The whole of a process."""
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
    return uvloop.run(_fold_job(job))


async def _fold_job(job: Job) -> Findings:
    async with _snapshot(job.database_url, job.snapshot) as connection:
        return await fold_range(connection, job.leads, job.line, await AccordBook().refresh(connection))


async def _check_line(connection: Any, line: Line, findings: Findings) -> None:
    # With statistics that are out of date a nested loop takes hours where a hash join takes seconds.
    await connection.execute("SET LOCAL enable_nestloop = off")
    nobodies = nobodies_sql.statements(await connection.fetch(nobodies_sql.TABLES))
    of_line = line_sql.statements(line), outcomes_sql.statements(line)
    for statement in chain(*of_line, reports_sql.statements(), nobodies):
        await _check(connection, statement, findings)


async def _check(connection: Any, statement: Statement, findings: Findings) -> None:
    check, differences, of, is_lack = statement
    findings.saw(check, await connection.fetchval(of) if of else 0)
    rows = await connection.fetch(
        f"SELECT sentence, count(*) OVER () FROM ({differences}) AS found(sentence) ORDER BY 1 LIMIT {SHOWN_MAX}"  # noqa: S608
    )
    note = findings.lack if is_lack else findings.note
    for sentence, _ in rows:
        note(check, sentence)
    if rows and rows[0][1] > len(rows):
        note(check, f"{rows[0][1] - len(rows)} more of these", rows[0][1] - len(rows))


async def _check_loads(connection: Any, findings: Findings) -> None:
    """More than the folds gave is no difference: leads that were erased stay counted."""
    stored = {(row[0], row[1]): row[2] for row in await connection.fetch("SELECT owner, day, leads FROM stages.loads")}
    findings.saw(Check.LOADS, len(stored))
    for (owner, day), leads in sorted(findings.loads.items()):
        if stored.get((owner, day), 0) < leads:
            counted = stored.get((owner, day), 0)
            findings.note(Check.LOADS, f"stages.loads: an owner got {leads} leads on {day}, of which {counted} count")


async def _on_kafka_alone(connection: Any) -> dict[Check, int]:
    """How many events that this database no longer has may still be read, by the check that misses them."""
    events = {(service, topic): count for service, topic, count in await connection.fetch(line_sql.ON_KAFKA_ALONE)}
    return {
        Check.ACCEPTED: events.get(("scoring", ACTIVITY), 0) + events.get(("stages", SALES), 0),
        Check.SCORES: events.get(("stages", SCORE), 0),
        Check.EFFECTS: events.get(("stages", SALES), 0),
        Check.LIFECYCLE: events.get(("sla-monitor", LIFECYCLE), 0),
        Check.DELIVERY: events.get(("delivery", LIFECYCLE), 0) + events.get(("delivery", SLA), 0),
    }


async def _count(connection: Any, findings: Findings) -> None:
    """What a person compares the verdict with."""
    for what, table in (("accepted", "ingest.events_seen"), ("clocks", "sla.clocks")):
        findings.tally(what, await connection.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608
    letters = await connection.fetchval("SELECT count(*) FROM stream.dead_letters WHERE state <> 'replayed'")
    findings.tally("dead_letters", letters)


async def _line(connection: Any) -> Line:
    return Line(await connection.fetchval(_PARTITIONS), await connection.fetchval(line_sql.IS_ON_KAFKA))


@asynccontextmanager
async def _snapshot(database_url: str, snapshot: str | None = None) -> AsyncIterator[Any]:
    """A connection in a transaction that sees one moment and can't write; that of `snapshot` if it is given."""
    # A connection waits while others fold.
    patience = {"idle_in_transaction_session_timeout": "0", "statement_timeout": "0"}
    # Cursors are read to their end; many are open at once, so each sorts on disk rather than in memory.
    plans = {"cursor_tuple_fraction": "1", "jit": "off", "work_mem": "16MB"}
    connection = await connect(database_url, "accord-audit", **patience, **plans)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if snapshot is not None:
                await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            yield connection
    finally:
        await connection.close()
