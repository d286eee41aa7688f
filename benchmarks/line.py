"""The whole line: batches over HTTP into `accord up`, until stages has read everything that followed from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.broken import Broken
from benchmarks.house import House
from benchmarks.load import Plan
from benchmarks.loader import loader
from benchmarks.processes import cpu_seconds
from benchmarks.progress import until_read

# What stands between a webhook and a stage; the rest reads on while these are finished.
_TO_STAGES = frozenset({"scoring", "stages"})

_COUNTS = """SELECT
    (SELECT count(*) FROM scoring.history WHERE kind = 'activity') AS activities,
    (SELECT count(*) FROM stages.history) AS scores,
    (SELECT count(*) FROM stages.transitions) AS transitions,
    (SELECT count(*) FROM stream.dead_letters) AS dead_letters"""


@dataclass(frozen=True)
class LineRound:
    """One measured round. CPU time is taken until every reader, delivery too, has read everything."""

    activities: int
    leads: int
    seconds: float
    per_second: float
    accepted_per_second: float
    all_read_seconds: float
    python_cpu_seconds_per_1000: float
    postgres_cpu_seconds_per_1000: float
    broker_cpu_seconds_per_1000: float
    transitions: int
    refused: int
    answer: dict[str, float]


async def measure_line(house: House, connection: Any, plan: Plan) -> LineRound:
    """One round on a line at rest. Raises Broken when the counts don't add up: such a rate means nothing."""
    patience_seconds = 60 + plan.activities / 200
    async with loader(plan) as generator:
        before = await connection.fetchrow(_COUNTS)
        spent = _cpu_seconds(house)
        posted = await generator.go(patience_seconds)
    read_at = await until_read(connection, _TO_STAGES, patience_seconds)
    all_read_at = await until_read(connection, None, patience_seconds)
    python, postgres, broker = (now - then for now, then in zip(_cpu_seconds(house), spent, strict=True))
    after = await connection.fetchrow(_COUNTS)
    _check(plan, posted, before, after)
    started_at = posted["started_at"]
    return LineRound(
        activities=plan.activities,
        leads=plan.leads,
        seconds=read_at - started_at,
        per_second=plan.activities / (read_at - started_at),
        accepted_per_second=plan.activities / (posted["finished_at"] - started_at),
        all_read_seconds=all_read_at - started_at,
        python_cpu_seconds_per_1000=python / plan.activities * 1_000,
        postgres_cpu_seconds_per_1000=postgres / plan.activities * 1_000,
        broker_cpu_seconds_per_1000=broker / plan.activities * 1_000,
        transitions=after["transitions"] - before["transitions"],
        refused=posted["refused"],
        answer=posted["answer"],
    )


async def warm_up(connection: Any, plan: Plan) -> None:
    """A first stretch that isn't measured: plans prepared, caches filled, connections open."""
    async with loader(plan) as generator:
        await generator.go(60)
    await until_read(connection, None, 60)


def _cpu_seconds(house: House) -> Sequence[float]:
    pids = (house.accord_pid, house.postgres_pid, house.broker.pid if house.broker else None)
    return [cpu_seconds(pid) if pid else 0.0 for pid in pids]


def _check(plan: Plan, posted: dict[str, Any], before: Any, after: Any) -> None:
    found = {
        "accepted": posted["accepted"],
        "duplicates": posted["duplicates"],
        "rejected": posted["rejected"],
        "in scoring's history": after["activities"] - before["activities"],
        "missing in stages' history": max(plan.activities - (after["scores"] - before["scores"]), 0),
        "dead letters": after["dead_letters"],
    }
    allowed = dict.fromkeys(found, 0) | {"accepted": plan.activities, "in scoring's history": plan.activities}
    if found != allowed:
        raise Broken(f"of {plan.activities} activities: found {found}, allowed {allowed}")
