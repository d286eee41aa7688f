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
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import uvloop
from rich.console import Console

from benchmarks.broken import Broken
from benchmarks.house import running_house
from benchmarks.report import print_result, result_of
from benchmarks.run import FULL, QUICK, Scale, measure, profile_line
from shared.errors import AccordError
from shared.telemetry.logging import configure_logging

PROFILE_LINES = 25


def main() -> None:
    options = _options()
    scale = _scale(options)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    configure_logging("warning", "auto")
    progress = Console(stderr=True, highlight=False)
    try:
        with _folder(options.data) as data:
            if options.profile:
                _profile(scale, data, out)
            else:
                _measure(scale, data, out, progress)
    except (Broken, AccordError) as error:
        progress.print(f"broken: {error}", style="red", markup=False)
        sys.exit(1)


def _measure(scale: Scale, data: Path, out: Path, progress: Console) -> None:
    with running_house(data, out / "accord.log", None) as house:
        measured, surroundings = uvloop.run(measure(house, scale, lambda said: progress.print(said, markup=False)))
    result = result_of(measured, {"scale": asdict(scale), "is_quick": scale == QUICK, **surroundings})
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    print_result(Console(width=None if sys.stdout.isatty() else 120, highlight=False), result)
    print(f"Written to {out / 'result.json'}")


def _profile(scale: Scale, data: Path, out: Path) -> None:
    path = out / "accord.prof"
    with running_house(data, out / "accord.log", path) as house:
        found = uvloop.run(profile_line(house, scale))
    print(f"Under cProfile: {found.per_second:,.0f} activities/s (not a measurement). Times in {path}:")
    pstats.Stats(str(path)).strip_dirs().sort_stats("tottime").print_stats(PROFILE_LINES)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a small run, to see that it works; its numbers mean little"
    )
    parser.add_argument("--profile", action="store_true", help="run Accord under cProfile and print the top of it")
    parser.add_argument("--activities", type=int, help=f"of each round of the line (default {FULL.activities})")
    parser.add_argument("--leads", type=int, help=f"of each round of the line (default {FULL.leads})")
    parser.add_argument("--rounds", type=int, help=f"of line, ordinary way and ceiling in turn (default {FULL.rounds})")
    parser.add_argument("--per-second", type=float, help=f"posts of the latency part (default {FULL.per_second:.0f})")
    parser.add_argument("--seconds", type=float, help=f"of the latency part (default {FULL.seconds:.0f})")
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
