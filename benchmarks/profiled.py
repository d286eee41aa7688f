"""`accord` under cProfile: `python -m benchmarks.profiled OUT up …` leaves the times in OUT when it ends."""

import cProfile
import sys

from services.cli import main as accord


def main() -> None:
    out, *arguments = sys.argv[1:]
    sys.argv = ["accord", *arguments]
    profile = cProfile.Profile()
    try:
        profile.runcall(accord)
    finally:
        profile.dump_stats(out)


if __name__ == "__main__":
    main()
