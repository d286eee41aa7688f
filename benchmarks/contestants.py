"""Who takes part in the contest: Accord's scoring service, and the same job in each of the rivals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.apart import Apart
from benchmarks.child import Child
from benchmarks.rivals import where
from benchmarks.rivals_venv import ROOT
from shared.events.topics import ACTIVITY, SCORE

ACCORD = "accord"


@dataclass(frozen=True)
class Contestant:
    """A process that reads `activities` as `group` and puts scores on `scores`.

    `share`: how much of a round it gets, so that the slow ones take about as long as the quick ones.
    """

    name: str
    child: Child
    group: str
    activities: str
    scores: str
    share: float = 1.0


def accord(apart: Apart) -> Contestant:
    """`accord run scoring`."""
    return Contestant(ACCORD, apart.scoring(), "accord-scoring", ACTIVITY, SCORE)


def rivals(bin: Path, folder: Path, logs: Path, surroundings: Mapping[str, str]) -> list[Contestant]:
    """Each started as its documentation does it."""
    faststream, python, faust = (str(bin / name) for name in ("faststream", "python", "faust"))
    worker = (faust, "-L", "uvloop", "-A", "benchmarks.rivals.with_faust", "worker", "--loglevel", "warn")
    commands: Mapping[str, tuple[Sequence[str], float]] = {
        "faststream": ((faststream, "run", "benchmarks.rivals.with_faststream:app"), 0.05),
        "faststream-batches": ((faststream, "run", "benchmarks.rivals.with_faststream_batches:app"), 1.0),
        "quix": ((python, "-m", "benchmarks.rivals.with_quix"), 1.0),
        "faust": ((*worker, "--without-web"), 0.2),
    }
    found = []
    for name, (command, share) in commands.items():
        own = folder / name
        own.mkdir()
        environment = {**surroundings, "BENCH_FOLDER": str(own), "PYTHONPATH": str(ROOT)}
        child = Child(command, logs / f"{name}.log", environment)
        found.append(Contestant(name, child, where.group(name), where.activities(name), where.scores(name), share))
    return found
