"""`make bench-large`: makes the folder of the data set unless it is there, starts Accord on it and measures the api's
calls and the web pages. Exit code 0 when it measured, whatever it found; 1 when the run is broken."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import uvloop
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table

from benchmarks.broken import Broken
from benchmarks.large.fill import made_in, make
from benchmarks.large.house import running
from benchmarks.large.measure import Measured, measure
from benchmarks.large.pages import KB_TARGET, P95_TARGET_MS, Page, measure_pages
from shared.db.data_folder import ADDRESS_FILE
from shared.errors import AccordError
from shared.telemetry.logging import configure_logging

FOLDER: Final = Path(".bench/large")
RESULT: Final = "large-result.json"
LOG: Final = "large-accord.log"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-large ARGS=…", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--leads", type=int, default=1_000_000, help="with ten activities each (default 1000000)")
    parser.add_argument(
        "--data", type=Path, default=FOLDER, help=f"where the data set is, or is made (default {FOLDER})"
    )
    parser.add_argument("--fill", action="store_true", help="only make it")
    options = parser.parse_args()
    configure_logging("warning", "auto")
    console = Console(stderr=True, highlight=False)
    try:
        _run(options, console)
    except (Broken, AccordError) as error:
        console.print(f"broken: {error}", style="red", markup=False)
        sys.exit(1)


def _run(options: argparse.Namespace, console: Console) -> None:
    folder: Path = options.data
    folder.mkdir(parents=True, exist_ok=True)
    made = made_in(folder)
    if made is None:
        if any(entry.name not in (LOG, RESULT) for entry in folder.iterdir()):
            raise Broken(
                f"{folder} was not made to its end, or holds something else: remove it, or name another --data"
            )
        made = make(folder, options.leads, folder / LOG, lambda said: console.print(said, markup=False))
    console.print(f"{folder}: {made.leads:,} leads, {made.activities:,} activities, made in {made.seconds:,.0f} s")
    if options.fill:
        return
    with running(folder, folder / LOG) as (target, pid):
        database_url = (folder / ADDRESS_FILE).read_text().strip()
        measured = uvloop.run(measure(target, pid, database_url, lambda one: console.print(_line(one), markup=False)))
        pages = uvloop.run(measure_pages(target, database_url, lambda one: console.print(_page(one), markup=False)))
    calls = [{**asdict(one), "ratio": one.ratio} for one in measured]
    (folder / RESULT).write_bytes(to_json({"calls": calls, "pages": pages}, indent=1))
    Console().print(_table(measured), _table_of_pages(pages))


def _line(one: Measured) -> str:
    return f"{one.name}: {one.api['p50_ms']} ms, p99 {one.api['p99_ms']} ms, CPU {one.api_cpu_ms} ms"


def _page(one: Page) -> str:
    return f"{one.path}: {one.p50_ms} ms, p95 {one.p95_ms} ms, {one.kb} KB"


def _table_of_pages(pages: list[Page]) -> Table:
    table = Table("", "calls", "p50 ms", "p95 ms", "KB", "target", title="The web pages on this house")
    for one in pages:
        target = f"{'met' if one.is_met else 'not met'} (p95 < {P95_TARGET_MS:g} ms, < {KB_TARGET:g} KB)"
        table.add_row(one.path, f"{one.calls}", f"{one.p50_ms:,.1f}", f"{one.p95_ms:,.1f}", f"{one.kb:g}", target)
    return table


def _table(measured: list[Measured]) -> Table:
    columns = ("", "calls", "p50 ms", "p99 ms", "CPU ms", "SQL p50", "SQL p99", "SQL CPU", "ratio", "target")
    table = Table(*columns, title="The api on this house")
    for one in measured:
        api, sql = ([f"{of[name]:,.1f}" for name in ("p50_ms", "p99_ms")] for of in (one.api, one.sql))
        target = f"{'met' if one.is_met else 'not met'} (p99 < {one.target_ms:g})"
        spent = (f"{one.api_cpu_ms:,.1f}", f"{one.sql_cpu_ms:,.1f}")
        table.add_row(one.name, f"{one.calls:,}", *api, spent[0], *sql, spent[1], f"{one.ratio:g}", target)
    return table


if __name__ == "__main__":
    main()
