"""`python -m benchmarks`: measures everything in one run, prints the tables, writes .bench/result.json.

Exit code 0 when it measured, whatever it found; 1 when the run is broken (README.md beside this file).
"""

import argparse
import json
import pstats
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from benchmarks.apart import Apart
from benchmarks.broken import Broken
from benchmarks.broker import Broker, running_broker
from benchmarks.clocks import Due, measure_clocks
from benchmarks.clocks_beside import measure_clocks_beside
from benchmarks.contestants import accord, rivals
from benchmarks.house import new_database, running_house
from benchmarks.report import (
    clocks_result,
    contest_result,
    joined,
    line_result,
    recovery_result,
    soak_result,
    told_result,
    webhooks_result,
)
from benchmarks.rivals_venv import rivals_bin
from benchmarks.run import Tell, measure_house, profile_line
from benchmarks.run_apart import measure_contest, measure_recovery
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.surroundings import surroundings
from benchmarks.tables import print_result
from benchmarks.told import measure_told
from benchmarks.webhooks import measure as measure_webhooks
from benchmarks.webhooks import sites, soak
from deploy.kafka.jars import KafkaUnusable, find_kafka
from shared.db.embedded import EmbeddedPostgres
from shared.errors import AccordError
from shared.telemetry.logging import configure_logging

PROFILE_LINES = 25
PARTS = ("line", "webhooks", "told", "recovery", "clocks", "rivals")


def main() -> None:
    options = _options()
    scale = _scale(options)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    configure_logging("warning", "auto")
    progress = Console(stderr=True, highlight=False)
    try:
        with _folder(options.data) as data:
            if options.soak is not None:
                _soak(data, out, options.soak, lambda said: progress.print(said, markup=False))
            elif options.profile:
                _profile(scale, data, out)
            else:
                _measure(Bench(scale, data, out, lambda said: progress.print(said, markup=False)), options)
    except (Broken, AccordError) as error:
        progress.print(f"broken: {error}", style="red", markup=False)
        sys.exit(1)


class Bench:
    """The parts of a run, each with processes of its own on one Postgres."""

    def __init__(self, scale: Scale, data: Path, out: Path, tell: Tell) -> None:
        self._scale = scale
        self._data = data
        self._out = out
        self._tell = tell
        self.scale = scale

    def measure(self, parts: list[str], *, has_kafka: bool) -> dict[str, Any]:
        """What belongs to the parts."""
        with EmbeddedPostgres(self._data) as postgres:
            found = [uvloop.run(surroundings(postgres.dsn))]
            if "line" in parts:
                found.append(self._line(postgres, has_kafka=has_kafka))
            if "webhooks" in parts:
                found.append(self._webhooks(postgres))
            if "told" in parts:
                found.append(self._told(postgres))
            if has_kafka and "recovery" in parts:
                found.append(self._recovery(postgres))
            if "clocks" in parts:
                found.append(self._clocks(postgres))
            if has_kafka and "rivals" in parts:
                found.append(self._contest(postgres))
        return joined(found)

    def _line(self, postgres: EmbeddedPostgres, *, has_kafka: bool) -> dict[str, Any]:
        scale, log, tell = self._scale, self._out / "accord.log", self._tell
        ordinary_url = new_database(postgres, "bench_ordinary")
        with running_house(postgres, self._data / "line", log) as house:
            found = [uvloop.run(measure_house(house, scale, tell, ordinary_url))]
        if has_kafka:
            with (
                running_broker() as broker,
                running_house(postgres, self._data / "line_on_kafka", log, broker=broker) as house,
            ):
                found.append(uvloop.run(measure_house(house, scale, tell)))
        return line_result(found)

    def _webhooks(self, postgres: EmbeddedPostgres) -> dict[str, Any]:
        with sites(new_database(postgres, "bench_webhooks"), self._out / "webhooks.log") as (bare, ingest):
            measuring = measure_webhooks(
                bare, ingest, events=self._scale.webhooks, rounds=self._scale.rounds, tell=self._tell
            )
            return webhooks_result(uvloop.run(measuring))

    def _told(self, postgres: EmbeddedPostgres) -> dict[str, Any]:
        with running_house(postgres, self._data / "told", self._out / "told.log") as house:
            found = uvloop.run(measure_told(house, self._scale))
        self._tell(f"told of {found.samples} qualified leads, p99 {found.qualified['p99_ms']} ms after their webhook")
        return told_result(found)

    def soak(self, minutes: float) -> dict[str, Any]:
        """Webhooks for so long; what ingest's process held meanwhile."""
        with (
            EmbeddedPostgres(self._data) as postgres,
            sites(new_database(postgres, "bench_soak"), self._out / "soak.log") as (_, ingest),
        ):
            return soak_result(uvloop.run(soak(ingest, minutes, self._tell)))

    def _recovery(self, postgres: EmbeddedPostgres) -> dict[str, Any]:
        with running_broker() as broker:
            apart = self._apart(new_database(postgres, "bench_recovery"), broker)
            return recovery_result(uvloop.run(measure_recovery(apart, self._scale, self._tell)))

    def _clocks(self, postgres: EmbeddedPostgres) -> dict[str, Any]:
        scale = self._scale
        due = Due(scale.open_clocks, scale.due_per_second, scale.due_seconds)
        database_url = new_database(postgres, "bench_clocks")
        found = uvloop.run(measure_clocks(database_url, self._out / "clocks.log", due))
        self._tell(f"{found.due} of {found.open_clocks:,} clocks ran out: {found.within_100_ms:.1%} told within 100 ms")
        beside_url, notes = new_database(postgres, "bench_clocks_beside"), scale.activities // 4
        beside = uvloop.run(measure_clocks_beside(beside_url, self._out / "clocks.log", due, notes))
        self._tell(f"beside {beside.per_second:,.0f} notes/s: {beside.within_1_s:.1%} told within 1 s")
        return clocks_result(found, beside)

    def _contest(self, postgres: EmbeddedPostgres) -> dict[str, Any]:
        bin, database_url = rivals_bin(self._tell), new_database(postgres, "bench_rivals")
        with running_broker() as broker:
            apart = self._apart(new_database(postgres, "bench_scoring"), broker)
            surroundings = {"BENCH_KAFKA": broker.bootstrap, "BENCH_DATABASE_URL": database_url}
            contestants = [accord(apart), *rivals(bin, self._data, self._out, surroundings)]
            return contest_result(
                uvloop.run(measure_contest(apart, postgres.pid, contestants, self._scale, self._tell))
            )

    def _apart(self, database_url: str, broker: Broker) -> Apart:
        return Apart(database_url, broker, self._out / "apart.log", self._scale.session_timeout)


def _measure(bench: Bench, options: argparse.Namespace) -> None:
    parts = options.only or [part for part in PARTS if part != "rivals" or options.rivals]
    why_no_kafka = _why_no_kafka()
    result = bench.measure(parts, has_kafka=why_no_kafka is None)
    result = {"scale": asdict(bench.scale), "is_quick": bench.scale == QUICK, "parts": parts, **result}
    if why_no_kafka:
        result["warnings"].append(f"nothing was measured on Kafka: {why_no_kafka}")
    path = options.out / "result.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print_result(Console(width=None if sys.stdout.isatty() else 120, highlight=False), result)
    print(f"Written to {path}")


def _why_no_kafka() -> str | None:
    try:
        find_kafka()
    except KafkaUnusable as unusable:
        return str(unusable)
    return None


def _profile(scale: Scale, data: Path, out: Path) -> None:
    path = out / "accord.prof"
    with EmbeddedPostgres(data) as postgres, ExitStack() as stack:
        house = stack.enter_context(running_house(postgres, data / "line", out / "accord.log", profile=path))
        found = uvloop.run(profile_line(house, scale))
    print(f"Under cProfile: {found.per_second:,.0f} activities/s (not a measurement). Times in {path}:")
    pstats.Stats(str(path)).strip_dirs().sort_stats("tottime").print_stats(PROFILE_LINES)


def _soak(data: Path, out: Path, minutes: float, tell: Tell) -> None:
    found = Bench(FULL, data, out, tell).soak(minutes)
    (out / "soak.json").write_text(json.dumps(found, indent=2) + "\n")
    print(
        f"After a fifth {found['early_mib']} MiB, at the end {found['late_mib']} MiB: {found['growth_percent']:+.1f} %."
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a small run, to see that it works; its numbers mean little"
    )
    parser.add_argument("--rivals", action="store_true", help="scoring alone beside other frameworks, too")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part alone; may be repeated")
    parser.add_argument("--profile", action="store_true", help="run Accord under cProfile and print the top of it")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="post webhooks for so long and watch the memory")
    for name, kind, of in (
        ("activities", int, "of each round of the line"),
        ("leads", int, "of each round of the line"),
        ("rounds", int, "of all that takes turns"),
        ("per-second", float, "posts of the latency part"),
        ("seconds", float, "of the latency part"),
        ("burst-events", int, "of the burst"),
        ("session-timeout", int, "seconds after which Kafka gives up a silent process, in the recovery part"),
        ("webhooks", int, "of each round of the webhooks"),
        ("contest-activities", int, "of each round of the contest"),
        ("open-clocks", int, "that don't run out while others do"),
        ("due-per-second", float, "clocks that run out"),
        ("due-seconds", float, "for which clocks run out"),
    ):
        default = getattr(FULL, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=kind, help=f"{of} (default {default:g})")
    parser.add_argument("--data", type=Path, help="an empty folder for the database (default: a temporary one)")
    parser.add_argument("--out", type=Path, default=Path(".bench"), help="where results go (default .bench)")
    return parser.parse_args()


def _scale(options: argparse.Namespace) -> Scale:
    given = {name: getattr(options, name) for name in asdict(FULL) if getattr(options, name, None) is not None}
    return Scale(**(asdict(QUICK if options.quick else FULL) | given))


@contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    if named is not None:
        named.mkdir(parents=True, exist_ok=True)
        if any(named.iterdir()):
            raise Broken(f"{named} isn't empty")
        yield named.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="accord-bench-"))
    folder.chmod(0o755)  # Postgres never runs as root, and must get in
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
