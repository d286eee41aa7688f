"""What the benchmark says: the result as JSON, and as tables. Targets are shown beside, never asserted."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.latency import Latency
from benchmarks.line import LineRound
from benchmarks.ordinary import Ordinary

Result = dict[str, Any]

TIMES_ORDINARY_MIN = 25
PER_SECOND_MIN = 8_000
QUALIFIED_P99_MS_MAX = 30
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Memory:
    """At their largest during the line and the latency: Accord's process; Postgres, its shared memory counted once."""

    accord_bytes: int
    postgres_bytes: int


@dataclass(frozen=True)
class Measured:
    """Everything that one run measured."""

    line: Sequence[LineRound]
    ordinary: Sequence[Ordinary]
    ceiling: Sequence[float]
    latency: Latency
    memory: Memory


def result_of(measured: Measured, surroundings: Result) -> Result:
    """Medians of the rounds, with every round beside them."""
    line = median(found.per_second for found in measured.line)
    ordinary = median(found.per_second for found in measured.ordinary)
    ceiling = median(measured.ceiling)
    ratios = {"line_to_ordinary": round(line / ordinary, 1), "line_to_ceiling": round(line / ceiling, 3)}
    return {
        **surroundings,
        "line": {**_medians(measured.line), "rounds": [asdict(found) for found in measured.line]},
        "ordinary": {**_medians(measured.ordinary), "rounds": [asdict(found) for found in measured.ordinary]},
        "ceiling": {"per_second": ceiling, "rounds": list(measured.ceiling)},
        "latency": asdict(measured.latency),
        "memory": asdict(measured.memory),
        "ratios": ratios,
        "targets": [
            _target("line, times the ordinary way", ratios["line_to_ordinary"], at_least=TIMES_ORDINARY_MIN),
            _target("line, activities/s", round(line), at_least=PER_SECOND_MIN),
            _target("webhook to qualified, p99 ms", measured.latency.qualified["p99_ms"], below=QUALIFIED_P99_MS_MAX),
        ],
    }


def print_result(console: Console, result: Result) -> None:
    """Three tables: rates, latency, targets."""
    console.print(_rates(result), _latency(result), _targets(result), sep="\n")
    memory, ratios = result["memory"], result["ratios"]
    console.print(
        f"The line is {ratios['line_to_ordinary']} times the ordinary way and {ratios['line_to_ceiling']:.1%} of the "
        f"ceiling. Peak memory: Accord {memory['accord_bytes'] / _MIB:.0f} MiB, "
        f"Postgres {memory['postgres_bytes'] / _MIB:.0f} MiB."
    )
    for warning in result["warnings"]:
        console.print(f"warning: {warning}", style="yellow", markup=False)


def _rates(result: Result) -> Table:
    table = Table("", "activities/s", "of rounds", "CPU s/1,000 Python", "Postgres", "both", title="Rates (medians)")
    names = {"line": "the whole line", "ordinary": "the ordinary way", "ceiling": "the ceiling (COPY)"}
    for part, name in names.items():
        found = result[part]
        rates = [one if part == "ceiling" else one["per_second"] for one in found["rounds"]]
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        python, postgres = found.get("python_cpu_seconds_per_1000"), found.get("postgres_cpu_seconds_per_1000")
        spent = [f"{python:.3f}", f"{postgres:.3f}", f"{python + postgres:.3f}"] if python is not None else []
        table.add_row(name, f"{found['per_second']:,.0f}", spread, *spent)
    return table


def _latency(result: Result) -> Table:
    found = result["latency"]
    title = (
        f"Latency at {found['per_second']:.0f} posts/s ({found['samples']} leads qualified by {found['posts']} posts)"
    )
    table = Table("ms", "p50", "p90", "p99", "max", title=title)
    names = {
        "qualified": "webhook to qualified, committed and read",
        "accord_says": "the same, by Accord's own histogram",
        "answer": "webhook to 202",
        "late": "of which: generator late",
    }
    for part, name in names.items():
        table.add_row(name, *(_number(found[part].get(f"{share}_ms")) for share in ("p50", "p90", "p99", "max")))
    return table


def _targets(result: Result) -> Table:
    table = Table("target", "wanted", "found", "", title="Targets")
    for target in result["targets"]:
        met = "[green]met[/]" if target["is_met"] else "[red]not met[/]"
        table.add_row(target["name"], target["wanted"], f"{target['found']:,}", met)
    return table


def _medians(rounds: Sequence[LineRound] | Sequence[Ordinary]) -> dict[str, float]:
    found = [asdict(one) for one in rounds]
    return {name: median(one[name] for one in found) for name, value in found[0].items() if isinstance(value, float)}


def _target(name: str, found: float, *, at_least: float | None = None, below: float | None = None) -> Result:
    is_met = (at_least is None or found >= at_least) and (below is None or found < below)
    wanted = f"at least {at_least:,}" if at_least is not None else f"below {below:,}"
    return {"name": name, "wanted": wanted, "found": found, "is_met": is_met}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"
