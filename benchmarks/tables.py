"""The result as tables."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

Result = dict[str, Any]

_MIB = 1024 * 1024
_LOOKS_SHOWN = 14
_HOUSES = {"on_postgres": "on Postgres", "on_kafka": "on Kafka"}
_CPU = ("Python", "Postgres", "broker", "all")


def print_result(console: Console, result: Result) -> None:
    """All parts that the result has."""
    for table in _tables(result):
        console.print(table)
    for house, memory in result.get("memory", {}).items():
        console.print(
            f"Peak memory {_HOUSES[house]}: Accord {memory['accord_bytes'] / _MIB:.0f} MiB, "
            f"Postgres {memory['postgres_bytes'] / _MIB:.0f} MiB."
        )
    if result["ratios"]:
        console.print("Ratios: " + ", ".join(f"{name} {value}" for name, value in result["ratios"].items()))
    for warning in result["warnings"]:
        console.print(f"warning: {warning}", style="yellow", markup=False)


def _tables(result: Result) -> Iterator[Table]:
    if "lines" in result:
        yield _rates(result)
        for part, when in (("latency", "right after the rounds"), ("latency_at_rest", "at rest")):
            yield from (_latency(f"{_HOUSES[house]}, {when},", found) for house, found in result[part].items())
    if result.get("burst"):
        yield _burst(result["burst"])
    if "webhooks" in result:
        yield _webhooks(result["webhooks"])
    if "told" in result:
        yield _latency(
            "webhook to webhook", result["told"], qualified="webhook to its lead's webhook, read by its receiver"
        )
    if "recovery" in result:
        yield _recovery(result["recovery"])
    if "clocks" in result:
        yield _clocks(result["clocks"])
    if "contest" in result:
        yield _contest(result["contest"])
    if result["targets"]:
        yield _targets(result)


def _rates(result: Result) -> Table:
    table = Table("", "activities/s", "of rounds", *_CPU, title="Rates (medians) and CPU s per 1,000")
    for house, found in result["lines"].items():
        table.add_row(f"the whole line {_HOUSES[house]}", *_rate(found), *_spent(found, "python"))
    table.add_row("the ordinary way", *_rate(result["ordinary"]), *_spent(result["ordinary"], "python"))
    ceiling = result["ceiling"]
    table.add_row("the ceiling (COPY)", f"{ceiling['per_second']:,.0f}", _spread(ceiling["rounds"]))
    return table


def _clocks(found: Result) -> Table:
    title = f"{found['due']:,} clocks run out at {found['due_per_second']:.0f}/s, {found['open_clocks']:,} others run"
    table = Table("what", "found", title=title)
    told = ", ".join(f"{share} {found['announced'][f'{share}_ms']:,.1f}" for share in ("p50", "p90", "p99", "max"))
    table.add_row("from the deadline until the breach could be read, ms", told)
    table.add_row("within 100 ms", f"{found['within_100_ms']:.2%}")
    beside = found["beside"]
    told = ", ".join(f"{share} {beside['announced'][f'{share}_ms']:,.1f}" for share in ("p50", "p90", "p99", "max"))
    table.add_row(f"the same beside {beside['per_second']:,.0f} sales notes/s, ms", told)
    table.add_row("within 1 s", f"{beside['within_1_s']:.2%}")
    table.add_row("peak memory of sla_monitor", f"{found['monitor_bytes'] / _MIB:.0f} MiB")
    table.add_row("its CPU s per 1,000 breaches", f"{found['monitor_cpu_seconds_per_1000']:.3f}")
    scan = found["naive_scan_seconds"]
    table.add_row("the naive way: a scan of all once a minute", f"{scan:.3f} s each, {30 + scan:.1f} s late on average")
    rates = ", ".join(f"{span} {rate:,.0f}" for span, rate in found["deadlines_per_second"].items())
    table.add_row("deadlines/s of the calendar, by span", rates)
    return table


def _contest(contest: Result) -> Table:
    table = Table(
        "", "activities/s", "of rounds", "own", *_CPU[1:], title="Scoring alone beside the rivals, CPU s per 1,000"
    )
    for name, found in contest.items():
        table.add_row(name, *_rate(found), *_spent(found, "own"))
    return table


def _latency(where: str, found: Result, *, qualified: str = "webhook to qualified, committed and read") -> Table:
    title = (
        f"Latency {where} at {found['per_second']:.0f} posts/s "
        f"({found['samples']} leads qualified by {found['posts']} posts)"
    )
    table = Table("ms", "p50", "p90", "p99", "max", title=title)
    names = {
        "qualified": qualified,
        "accord_says": "webhook to qualified, by Accord's own histogram",
        "answer": "webhook to 202",
        "late": "of which: generator late",
    }
    for part, name in names.items():
        table.add_row(name, *(_number(found[part].get(f"{share}_ms")) for share in ("p50", "p90", "p99", "max")))
    return table


def _burst(burst: Result) -> Table:
    title = f"Events left after a burst of {burst['events']:,} on Kafka (sent within {burst['sent_seconds']:.1f} s)"
    table = Table("seconds", "scoring", "stages", "clocks, delivery", title=title)
    looks = burst["looks"]
    every = -(-len(looks) // _LOOKS_SHOWN)
    for look in (*looks[: len(looks) - 1 : every], looks[-1]):
        table.add_row(*(f"{value:,}" for value in look))
    return table


def _webhooks(found: Result) -> Table:
    table = Table(
        "", "events/s", "of rounds", "CPU µs per event", "p50 ms", "p99 ms", title="Signed webhooks at ingest"
    )
    names = {"bare": "a bare route", "singles": "one by one, durable", "batches": "100 at a time, durable"}
    for name, turns in found.items():
        numbers = (f"{turns[number]:,.1f}" for number in ("cpu_us_per_event", "p50_ms", "p99_ms"))
        table.add_row(names[name], *_rate(turns), *numbers)
    return table


def _recovery(found: Sequence[Result]) -> Table:
    first = found[0]
    title = (
        f"kill -9 of a scoring process at {first['per_second']:,.0f}/s, "
        f"session timeout {first['session_timeout_seconds']} s"
    )
    table = Table("processes", "seconds until caught up", "events behind at most", title=title)
    for one in found:
        table.add_row(str(one["processes"]), f"{one['seconds']:.1f}", f"{one['behind_max']:,}")
    return table


def _targets(result: Result) -> Table:
    table = Table("target", "wanted", "found", "", title="Targets")
    for target in result["targets"]:
        met = "[green]met[/]" if target["is_met"] else "[red]not met[/]"
        table.add_row(target["name"], target["wanted"], f"{target['found']:,}", met)
    return table


def _rate(found: Result) -> tuple[str, str]:
    return f"{found['per_second']:,.0f}", _spread([one["per_second"] for one in found["rounds"]])


def _spent(found: Result, own: str) -> list[str]:
    parts = [found.get(f"{part}_cpu_seconds_per_1000", 0.0) for part in (own, "postgres", "broker")]
    return [f"{part:.3f}" for part in (*parts, sum(parts))]


def _spread(rates: Sequence[float]) -> str:
    return f"{min(rates):,.0f} to {max(rates):,.0f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"
