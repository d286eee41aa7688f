"""What the benchmark says, as JSON: medians with every round beside them. Targets are shown beside, never asserted."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, NamedTuple

from benchmarks.burst import Burst
from benchmarks.clocks import Clocks
from benchmarks.clocks_beside import Beside
from benchmarks.contest import Turn
from benchmarks.contestants import ACCORD
from benchmarks.latency import Latency
from benchmarks.line import LineRound
from benchmarks.ordinary import Ordinary
from benchmarks.recovery import Recovery
from benchmarks.webhooks import Turn as WebhookTurn

Result = dict[str, Any]

TIMES_ORDINARY_MIN = 25
PER_SECOND_MIN = 8_000
QUALIFIED_P99_MS_MAX = {"on_postgres": 30, "on_kafka": 80}
TIMES_BEST_RIVAL_MIN = 3
WEBHOOK_CPU_TIMES_BARE_MAX = 2.5
BATCHES_TIMES_SINGLES_MIN = 6
TOLD_P99_MS_MAX = 100


@dataclass(frozen=True)
class Memory:
    """At their largest during the line and the latency: Accord's process; Postgres, its shared memory counted once."""

    accord_bytes: int
    postgres_bytes: int


class HouseMeasured(NamedTuple):
    """Of the whole line in one house (`on_postgres`, `on_kafka`). The first has the ordinary way and the ceiling, the
    one on Kafka the burst. `latency` is right after the rounds."""

    name: str
    lines: list[LineRound]
    ordinary: list[Ordinary]
    ceiling: list[float]
    latency: Latency
    latency_at_rest: Latency
    memory: Memory
    burst: Burst | None


def line_result(houses: Sequence[HouseMeasured]) -> Result:
    """Rates, latency, memory and burst, with the ratios between them. The house on Postgres comes first."""
    first, last = houses[0], houses[-1]
    rates = {house.name: median(one.per_second for one in house.lines) for house in houses}
    ordinary, ceiling = median(one.per_second for one in first.ordinary), median(first.ceiling)
    ratios = {f"{house}_to_ordinary": round(rate / ordinary, 1) for house, rate in rates.items()}
    ratios |= {f"{house}_to_ceiling": round(rate / ceiling, 3) for house, rate in rates.items()}
    if "on_kafka" in rates:
        ratios["on_kafka_to_on_postgres"] = round(rates["on_kafka"] / rates["on_postgres"], 2)
    targets = [
        _target("line on Postgres, times the ordinary way", ratios["on_postgres_to_ordinary"], TIMES_ORDINARY_MIN),
        _target("line on Postgres, activities/s", round(rates["on_postgres"]), PER_SECOND_MIN),
    ]
    for when in ("right after the rounds", "at rest"):
        for house in houses:
            latency = house.latency_at_rest if when == "at rest" else house.latency
            name = f"webhook to qualified on {house.name.removeprefix('on_').title()} {when}, p99 ms"
            targets.append(_target(name, latency.qualified["p99_ms"], below=QUALIFIED_P99_MS_MAX[house.name]))
    return {
        "lines": {house.name: _with_rounds(house.lines) for house in houses},
        "ordinary": _with_rounds(first.ordinary),
        "ceiling": {"per_second": ceiling, "rounds": list(first.ceiling)},
        "latency": {house.name: asdict(house.latency) for house in houses},
        "latency_at_rest": {house.name: asdict(house.latency_at_rest) for house in houses},
        "memory": {house.name: asdict(house.memory) for house in houses},
        "burst": asdict(last.burst) if last.burst else None,
        "ratios": ratios,
        "targets": targets,
    }


def recovery_result(found: Sequence[Recovery]) -> Result:
    return {"recovery": [asdict(one) for one in found]}


def clocks_result(found: Clocks, beside: Beside) -> Result:
    """Announcements beside the naive way, which looks once a minute: half a minute late on average, and the scan."""
    naive = 30_000 + found.naive_scan_seconds * 1_000
    slowest = min(found.deadlines_per_second[span] for span in ("month", "year"))
    return {
        "clocks": asdict(found) | {"beside": asdict(beside)},
        "ratios": {"naive_lateness_to_announced_p50": round(naive / max(found.announced["p50_ms"], 0.01))},
        "targets": [
            _target("breaches told within 100 ms, share", found.within_100_ms, 0.99),
            _target("told within 1 s with the line at half its rate, share", beside.within_1_s, 0.99),
            _target("memory of sla_monitor, MiB", round(found.monitor_bytes / 2**20), below=300),
            _target("deadlines/s of a month's and a year's span on one core", slowest, 50_000),
        ],
    }


def told_result(found: Latency) -> Result:
    """A webhook in to a webhook out, which holds the way from qualified to received."""
    p99 = found.qualified["p99_ms"]
    return {"told": asdict(found), "targets": [_target("qualified to webhook, p99 ms", p99, below=TOLD_P99_MS_MAX)]}


def contest_result(turns: Sequence[Turn]) -> Result:
    """Each contestant's medians, and Accord beside the quickest rival and beside the one with the least CPU time."""
    names = dict.fromkeys(turn.name for turn in turns)
    contest = {name: _with_rounds([turn for turn in turns if turn.name == name]) for name in names}
    rivals = {name: of for name, of in contest.items() if name != ACCORD}
    quickest = max(rivals, key=lambda name: rivals[name]["per_second"])
    cheapest = min(rivals, key=lambda name: rivals[name]["cpu_seconds_per_1000"])
    times = contest[ACCORD]["per_second"] / rivals[quickest]["per_second"]
    cpu = contest[ACCORD]["cpu_seconds_per_1000"] / rivals[cheapest]["cpu_seconds_per_1000"]
    return {
        "contest": contest,
        "ratios": {"scoring_to_best_rival": round(times, 2), "scoring_cpu_to_best_rival": round(cpu, 2)},
        "targets": [
            _target(f"scoring, times the best rival ({quickest})", round(times, 2), TIMES_BEST_RIVAL_MIN),
            _target(f"CPU per activity, times the least of a rival ({cheapest})", round(cpu, 2), below=1),
        ],
    }


def webhooks_result(found: Mapping[str, Sequence[WebhookTurn]]) -> Result:
    """Signed webhooks one by one and a hundred at a time, beside a bare route that only verifies."""
    webhooks = {name: _with_rounds(turns) for name, turns in found.items()}
    cpu = webhooks["singles"]["cpu_us_per_event"] / webhooks["bare"]["cpu_us_per_event"]
    batches = webhooks["batches"]["per_second"] / webhooks["singles"]["per_second"]
    return {
        "webhooks": webhooks,
        "ratios": {"webhook_cpu_to_bare": round(cpu, 2), "batches_to_singles": round(batches, 1)},
        "targets": [
            _target("CPU per signed webhook, times a bare route", round(cpu, 2), below=WEBHOOK_CPU_TIMES_BARE_MAX),
            _target("batches of 100, times singles", round(batches, 1), BATCHES_TIMES_SINGLES_MIN),
        ],
    }


def soak_result(looks: Sequence[tuple[float, int]]) -> Result:
    """The resident size after the first fifth, when caches have filled, and at the end."""
    early = median(size for _, size in looks[len(looks) // 5 : len(looks) // 5 + 3])
    late = median(size for _, size in looks[-3:])
    return {
        "looks": [{"minutes": minutes, "mib": round(size / 2**20, 1)} for minutes, size in looks],
        "early_mib": round(early / 2**20, 1),
        "late_mib": round(late / 2**20, 1),
        "growth_percent": round((late / early - 1) * 100, 1),
    }


def joined(results: Sequence[Result]) -> Result:
    """One result of all parts."""
    whole: Result = {"ratios": {}, "targets": []}
    for result in results:
        ratios, targets = result.get("ratios", {}), result.get("targets", [])
        whole |= {**result, "ratios": whole["ratios"] | ratios, "targets": whole["targets"] + targets}
    return whole


def _with_rounds(
    found: Sequence[LineRound] | Sequence[Ordinary] | Sequence[Turn] | Sequence[WebhookTurn],
) -> Result:
    rounds = [asdict(one) for one in found]
    medians = {name: median(_values(rounds, name)) for name, value in rounds[0].items() if isinstance(value, float)}
    return {**medians, "rounds": rounds}


def _values(rounds: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [one[name] for one in rounds]


def _target(name: str, found: float, at_least: float | None = None, *, below: float | None = None) -> Result:
    is_met = (at_least is None or found >= at_least) and (below is None or found < below)
    wanted = f"at least {at_least:,}" if at_least is not None else f"below {below:,}"
    return {"name": name, "wanted": wanted, "found": found, "is_met": is_met}
