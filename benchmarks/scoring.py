"""`python -m benchmarks.scoring`: the pure core, scoring alone beside its ceiling, what a past costs, and a rescore
beside live events."""

import argparse
import asyncio
import gc
import tempfile
from pathlib import Path

import uvloop

from benchmarks.house import new_database
from benchmarks.rescore import measure_rescore
from benchmarks.scoring_alone import measure_alone
from benchmarks.scoring_core import core, cost_by_past
from shared.agreement.compiled import compile_accord
from shared.agreement.loading import default_accord_text, load_accord
from shared.agreement.versions import Accords
from shared.clock import SystemClock
from shared.db.embedded import EmbeddedPostgres
from shared.db.migrate import upgrade
from shared.telemetry.logging import configure_logging

ROUNDS = 3
CORE_LEADS, CORE_ACTIVITIES = 2_000, 20
ALONE_LEADS, ALONE_ACTIVITIES = 2_000, 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--leads", type=int, default=5_000, help="to be rescored (default 5000; the long form 100000)")
    parser.add_argument("--activities", type=int, default=20, help="of each of them (default 20)")
    options = parser.parse_args()
    configure_logging("warning", "auto")
    gc.set_threshold(50_000, 20, 20)  # as the services run
    _core()
    with tempfile.TemporaryDirectory(prefix="accord-bench-") as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres(Path(folder)) as postgres:
            alone = uvloop.run(measure_alone(_migrated(postgres, "bench_alone"), ALONE_LEADS, ALONE_ACTIVITIES))
            found = uvloop.run(measure_rescore(_migrated(postgres, "bench_rescore"), options.leads, options.activities))
    print(f"scoring alone, log to log: {alone['per_second']:,.0f} activities/s in one process", end="")
    print(f" ({alone['cpu_seconds_per_1000']:.3f} CPU s of Python per 1,000)")
    print(f"  its ceiling, a COPY of the rows of its history: {alone['ceiling_per_second']:,.0f}/s", end="")
    print(f" ({alone['per_second'] / alone['ceiling_per_second']:.3f})")
    print(f"rescore of {found['leads']:,} leads with {found['activities']:,} activities: {found['seconds']:.1f} s")
    print(f"  {found['leads_per_second']:,.0f} leads/s, {found['activities_per_second']:,.0f} activities/s")
    print(f"  a live event until its commit, before: {found['live_before']}")
    print(f"                                 during: {found['live_during']}")


def _migrated(postgres: EmbeddedPostgres, name: str) -> str:
    url = new_database(postgres, name)
    asyncio.run(upgrade(url))
    return url


def _core() -> None:
    accords = Accords([(SystemClock().now(), compile_accord(load_accord(default_accord_text()), 1))])
    rounds = [core(accords, CORE_LEADS, CORE_ACTIVITIES) for _ in range(ROUNDS)]
    for name in ("decided_per_second", "regranted_per_second"):
        rates = sorted(found[name] for found in rounds)
        print(f"{name}: {rates[1]:,.0f} on one core ({rates[0]:,.0f} to {rates[-1]:,.0f})")
    for earlier, microseconds in cost_by_past(accords).items():
        print(f"an activity after {earlier:,} earlier ones: {microseconds:.1f} µs")


if __name__ == "__main__":
    main()
