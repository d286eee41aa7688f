"""The verdict: for people a table and a sentence, for machines one JSON object. Ids only, no personal data."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from services.audit.findings import MEANING, SHOWN_MAX, Check
from services.audit.run import Audit

_COUNTED = ("accepted", "leads", "clocks", "dead_letters")


def print_report(console: Console, audit: Audit) -> None:
    """What was checked, how many, what differs; then the verdict, which stands last."""
    findings = audit.findings
    console.print(f"Accord audit, {audit.taken_at:%Y-%m-%d %H:%M:%S} UTC")
    table = Table(box=None, pad_edge=False)
    for column in ("must hold", "looked at", "differ"):
        table.add_column(column, justify="left" if column == "must hold" else "right", no_wrap=True)
    for check in Check:
        if check in findings.checked:
            sentence, unit = MEANING[check]
            found = findings.differences.get(check, 0)
            colour = "red" if found else "green"
            table.add_row(sentence, f"{findings.checked[check]:,} {unit}", f"[{colour}]{found:,}[/{colour}]")
    console.print(table)
    for line in _sentences(audit):
        console.print(line, markup=False)
    console.print(verdict(audit), style="bold green" if audit.is_clean else "bold red", markup=False)


def verdict(audit: Audit) -> str:
    """One line."""
    if audit.is_clean:
        return "CLEAN: nothing lost, nothing counted twice"
    return f"DIFFERENCES: {sum(audit.findings.differences.values()):,} found"


def to_json(audit: Audit) -> dict[str, Any]:
    """For machines; fields are only ever added."""
    findings = audit.findings
    return {
        "clean": audit.is_clean,
        "taken_at": audit.taken_at.isoformat(),
        "seconds": round(audit.seconds, 3),
        "counts": findings.counts,
        "in_flight": audit.in_flight,
        "skipped": audit.skipped,
        "checks": {
            check: {"looked_at": findings.checked[check], "differences": findings.differences.get(check, 0)}
            for check in Check
            if check in findings.checked
        },
        "first": [{"check": check, "difference": sentence} for check, sentence in first(audit)],
    }


def first(audit: Audit) -> list[tuple[Check, str]]:
    """The first differences: some of each check, and no more than people read."""
    by_check = audit.findings.first
    rounds = [
        (check, by_check[check][number])
        for number in range(SHOWN_MAX)
        for check in Check
        if number < len(by_check.get(check, ()))
    ]
    return sorted(rounds[:SHOWN_MAX], key=lambda one: list(Check).index(one[0]))


def _by_service(events: dict[str, int]) -> str:
    return ", ".join(f"{service} {count:,}" for service, count in events.items())


def _sentences(audit: Audit) -> Iterator[str]:
    if audit.in_flight:
        yield f"in flight, not read yet: {_by_service(audit.in_flight)}; that is no difference"
    if audit.skipped:
        yield f"skipped by operators: {_by_service(audit.skipped)}; what they lacked stands among the differences"
    shown = first(audit)
    for _, sentence in shown:
        yield f"- {sentence}"
    if (left := sum(audit.findings.differences.values()) - len(shown)) > 0:
        yield f"- and {left:,} more"
    counts = ", ".join(f"{audit.counts.get(name, 0):,} {name.replace('_', ' ')}" for name in _COUNTED)
    yield f"looked at {counts} in {audit.seconds:.1f} s"
