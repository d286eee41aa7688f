"""Makes the folder of the data set: lives told by several processes, a crowd at a time, so that memory is bounded by a
crowd; the same seed gives the same lives, up to the time at which they end."""

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from datetime import datetime
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import uvloop
from prometheus_client import CollectorRegistry
from pydantic_core import from_json, to_json

from benchmarks.large.copying import POSTGRES, copy, make_staging, settle
from benchmarks.large.counters import set_counters
from benchmarks.large.house import configure
from benchmarks.large.line import NUMBERS_PER_CROWD, CrowdSetting, House
from benchmarks.large.prospects import Prospects
from benchmarks.large.rows import Crowd, Subscribed, rows_of
from services.api.metrics import Metrics
from services.api.store.database import Database
from services.api.store.lists import ListStore
from services.api.store.rollup import TABLES
from services.api.sweeper.lists import Lists
from services.carriers import DEFAULT_PARTITIONS
from shared.agreement.versions import Accords
from shared.clock import SystemClock
from shared.db.accord_book import AccordBook
from shared.db.api_role import take_on_api_role
from shared.db.embedded import EmbeddedPostgres
from shared.db.engine import create_engine

LEADS_PER_CROWD: Final = 2_000
ACTIVITIES_PER_LEAD: Final = 10
SEED: Final = 7
MANIFEST: Final = "large.json"

Tell = Callable[[str], None]
Emitted = Counter[tuple[str, str, int]]


class Made(NamedTuple):
    """What a folder holds."""

    leads: int
    activities: int
    seed: int
    until: str
    seconds: float


class Job(NamedTuple):
    """One crowd, for a process that has nothing but this."""

    database_url: str
    crowd: CrowdSetting
    leads: int
    subscribed: Sequence[tuple[str, tuple[str, ...]]]


def made_in(folder: Path) -> Made | None:
    """What was made there; None if nothing was, or not to the end."""
    manifest = folder / MANIFEST
    return Made(**from_json(manifest.read_bytes())) if manifest.exists() else None


def make(folder: Path, leads: int, log: Path, tell: Tell) -> Made:
    """Fills an empty folder. From the main thread (shared/db/embedded.py)."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    subscribed = configure(folder, log)
    until = SystemClock().now()
    with EmbeddedPostgres(folder, settings=POSTGRES) as postgres:
        uvloop.run(_stage(postgres.dsn))
        told = [(str(one.subscription_id), one.types) for one in subscribed]
        emitted = _tell_lives(_jobs(postgres.dsn, leads, until, told), leads, tell)
        tell(f"{leads:,} leads are told after {time.monotonic() - began:.0f} s; sorting and indexing their rows")
        uvloop.run(_finish(postgres.dsn, emitted, tell))
    made = Made(leads, leads * ACTIVITIES_PER_LEAD, SEED, until.isoformat(), round(time.monotonic() - began, 1))
    (folder / MANIFEST).write_bytes(to_json(made._asdict()))
    return made


def _jobs(
    database_url: str, leads: int, until: datetime, subscribed: list[tuple[str, tuple[str, ...]]]
) -> Iterator[Job]:
    for number, first in enumerate(range(0, leads, LEADS_PER_CROWD)):
        crowd = CrowdSetting(number, SEED, DEFAULT_PARTITIONS, until)
        yield Job(database_url, crowd, min(LEADS_PER_CROWD, leads - first), subscribed)


def _tell_lives(jobs: Iterator[Job], leads: int, tell: Tell) -> Emitted:
    """All crowds. Numbers given by a service follow those of the crowd before."""
    emitted: Emitted = Counter()
    processes, done = os.cpu_count() or 1, 0
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_prepare_process) as pool:
        running: set[Future[tuple[int, int, Emitted]]] = {
            pool.submit(tell_crowd, job) for job in islice(jobs, processes)
        }
        while running:
            one = next(as_completed(running))
            running.remove(one)
            running |= {pool.submit(tell_crowd, job) for job in islice(jobs, 1)}
            number, told, counts = one.result()
            for key, count in counts.items():
                emitted[key] = max(emitted[key], number * NUMBERS_PER_CROWD + count)
            before, done = done, done + told
            if done * 10 // leads > before * 10 // leads:
                tell(f"{done:,} of {leads:,} leads told")
    return emitted


def _prepare_process() -> None:
    # The objects of a crowd live as long as it; nothing of it is a cycle worth looking for.
    gc.freeze()
    gc.set_threshold(500_000, 20, 20)


def tell_crowd(job: Job) -> tuple[int, int, Emitted]:
    """The whole work of a process: number of the crowd, its leads, and what each service emitted."""
    return uvloop.run(_tell_crowd(job))


async def _tell_crowd(job: Job) -> tuple[int, int, Emitted]:
    connection = await asyncpg.connect(job.database_url)
    try:
        crowd, accords = job.crowd, await AccordBook().refresh(connection)
        prospects = Prospects(crowd.seed, crowd.number, job.leads, crowd.until)
        house = House(accords, crowd)
        house.live(prospects.posted(job.leads * ACTIVITIES_PER_LEAD))
        subscribed = [Subscribed(UUID(id), types) for id, types in job.subscribed]
        rows = rows_of(Crowd(house, prospects.all, crowd.partitions, crowd.until, subscribed))
        await copy(connection, rows)
    finally:
        await connection.close()
    return crowd.number, job.leads, house.emitted


async def _stage(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await make_staging(connection)
    finally:
        await connection.close()


async def _finish(database_url: str, emitted: Emitted, tell: Tell) -> None:
    await settle(database_url)
    connection = await asyncpg.connect(database_url)
    try:
        await set_counters(connection, emitted, DEFAULT_PARTITIONS)
        tell("listing all leads, as the api does")
        await _list(connection, database_url)
        counted = ("report_days", "report_outcomes", "report_names")
        for table in ("lead_index", "lead_words", *(table.name for table in TABLES), *counted):
            await connection.execute(f"VACUUM (ANALYZE) api.{table}")
    finally:
        await connection.close()


async def _list(connection: asyncpg.Connection, database_url: str) -> None:
    """The api's own walk over all leads, without its rests; a pass over the trimmed log begins it."""
    accords = await AccordBook().refresh(connection)

    async def signed() -> Accords:
        return accords

    engine = create_engine(database_url, application_name="accord-bench", init=take_on_api_role)
    store = ListStore(Database(engine))
    lists = Lists(store, signed, SystemClock(), Metrics(CollectorRegistry()))
    try:
        await lists.go()
        while (await store.standing()).is_lost:
            await lists.step()
        while await lists.refresh():
            pass
    finally:
        await engine.dispose()
