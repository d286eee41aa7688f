"""`python -m benchmarks.routing`: what it costs stages to qualify and route a lead, beside a score that changes
nothing. The pure decision, and whole steps on a real Postgres, of one event and of 100."""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL

import asyncpg
import uvloop
from prometheus_client import CollectorRegistry

from benchmarks.house import new_database
from benchmarks.processes import cpu_seconds
from services.api.main import bootstrap_accord
from services.carriers import DEFAULT_PARTITIONS
from services.stages.handler import StagesHandler
from services.stages.metrics import Metrics
from services.stages.model import Routing, Score, State, apply
from services.stages.store import PostgresStore
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import default_accord_text, load_accord
from shared.clock import SystemClock
from shared.db.accord_book import AccordBook
from shared.db.connections import create_pool
from shared.db.embedded import EmbeddedPostgres
from shared.db.migrate import upgrade
from shared.events.base import LeadSnapshot
from shared.events.codec import event as make_event
from shared.events.envelope import Record, named_id
from shared.events.score import ScoreChanged
from shared.events.topics import LIFECYCLE, SALES, SCORE, TOPICS, partition_of
from shared.stream.carrier import Slot
from shared.stream.handover import Handover
from shared.stream.log import PostgresCarrier
from shared.stream.setup import initialise
from shared.telemetry.logging import configure_logging

PARTITION: Final = 0
STEPS: Final = ((1, 400), (100, 20))  # events a step, steps
DECISIONS: Final = 20_000
PROFILE: Final = {"title": "VP Marketing", "company": "Northwind", "employees": 400, "country": "US"}


class Cost(NamedTuple):
    """Of one event: CPU microseconds in Python and in Postgres; and how long a step took, in ms at the median."""

    python_us: float
    postgres_us: float
    step_ms: float


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__).parse_args()
    configure_logging("warning", "auto")
    gc.set_threshold(50_000, 20, 20)  # as the services run
    for name, engagement in (("changes nothing", 1.0), ("qualifies and is routed", 90.0)):
        print(f"a score that {name}: decided in {_decided(engagement):.1f} µs of CPU")
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder)) as postgres:
            uvloop.run(_measure(new_database(postgres, "bench_routing"), postgres.pid))


def _decided(engagement: float) -> float:
    accord, now = compile_accord(load_accord(default_accord_text()), 1), SystemClock().now()
    states = [State(named_id(NAMESPACE_URL, f"decided/{number}")) for number in range(DECISIONS)]
    score = Score(engagement=engagement, fit=60, grade="A", activity="demo.requested", lead=_lead(1))
    routing, began = Routing(), time.process_time()
    for state in states:
        routing = apply(state, score, received_at=now, accord=accord, routing=routing).routing
    return (time.process_time() - began) / DECISIONS * 1e6


async def _measure(database_url: str, postgres_pid: int) -> None:
    await upgrade(database_url)
    pool = await create_pool(database_url, max_size=4)
    async with pool.acquire() as connection:
        await bootstrap_accord(connection, default_accord_text())
        _, names = await initialise(connection, topics=TOPICS, partitions=None, default=DEFAULT_PARTITIONS)

    async def connect() -> Any:
        return await asyncpg.connect(database_url)

    carrier = PostgresCarrier(
        pool=pool, connect=connect, partitions=DEFAULT_PARTITIONS, names=names, handover=Handover()
    )
    desk = _Desk(carrier, postgres_pid)
    await desk.open()
    for size, steps in STEPS:
        for name, engagement in (("changes nothing", 1.0), ("qualifies and is routed", 90.0)):
            await desk.cost(_records(f"warm/{size}/{name}", engagement), size, 5)
            found = await desk.cost(_records(f"{size}/{name}", engagement), size, steps)
            print(f"{size} a step, each {name}: Python {found.python_us:,.0f} µs, Postgres {found.postgres_us:,.0f} µs")
            print(f"  of CPU an event; a step took {found.step_ms:.2f} ms at the median")
    await desk.close()
    await pool.close()


class _Desk:
    """Stages on one partition, without a runner."""

    def __init__(self, carrier: PostgresCarrier, postgres_pid: int) -> None:
        self._carrier = carrier
        self._postgres_pid = postgres_pid
        metrics = Metrics(CollectorRegistry())
        self._handler = StagesHandler(AccordBook(), PostgresStore(), metrics=metrics, clock=SystemClock())

    async def open(self) -> None:
        self._claim = await self._carrier.claim(Slot("stages", "partition", PARTITION), (SCORE, SALES))

    async def close(self) -> None:
        await self._claim.release()

    async def cost(self, records: Iterator[Record], size: int, steps: int) -> Cost:
        batches = [list(islice(records, size)) for _ in range(steps)]
        gc.collect()
        took: list[float] = []
        spent = cpu_seconds(self._postgres_pid), time.process_time()
        for batch in batches:
            began = time.perf_counter()
            await self._step(batch)
            took.append(time.perf_counter() - began)
        python, postgres = time.process_time() - spent[1], cpu_seconds(self._postgres_pid) - spent[0]
        events = size * steps
        return Cost(python / events * 1e6, postgres / events * 1e6, statistics.median(took) * 1e3)

    async def _step(self, batch: Sequence[Record]) -> None:
        claim = self._claim
        async with claim.step(claim.positions, claim.breaker, at_once=True) as transaction:
            outgoing = await self._handler.handle(transaction, batch)
            assert all(topic == LIFECYCLE for topic, _ in outgoing)
            await transaction.put(outgoing)


def _records(run: str, engagement: float) -> Iterator[Record]:
    """The first score of one lead after the other, each of a company of its own."""
    number = 0
    while True:
        number += 1
        lead_id = named_id(NAMESPACE_URL, f"{run}/{number}")
        if partition_of(lead_id, DEFAULT_PARTITIONS) != PARTITION:
            continue
        now, lead = SystemClock().now(), _lead(number)
        score = ScoreChanged(
            lead_id=lead_id,
            version=1,
            changed=True,
            engagement=engagement,
            fit=60,
            grade="A",
            as_of=now,
            activity="demo.requested",
            activity_received_at=now,
            lead=lead,
        )
        event = make_event(score, id=named_id(lead_id, "score"), time=now, received_at=now)
        yield Record(SCORE, PARTITION, number, "scoring/0", number, event)


def _lead(number: int) -> LeadSnapshot:
    return LeadSnapshot(f"ann@company{number}.example", {**PROFILE, "company_domain": f"company{number}.example"})


if __name__ == "__main__":
    main()
