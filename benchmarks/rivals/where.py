"""What the benchmark tells a rival about its surroundings: topics, broker, database and a folder, by environment."""

import os
from pathlib import Path

PARTITIONS = 4
BROKER = os.environ.get("BENCH_KAFKA", "127.0.0.1:9092")
DATABASE_URL = os.environ.get("BENCH_DATABASE_URL", "postgresql://127.0.0.1/bench")
FOLDER = Path(os.environ.get("BENCH_FOLDER", "."))


def group(name: str) -> str:
    """The consumer group of a rival."""
    return f"bench-{name}"


def activities(name: str) -> str:
    """The topic with what a rival reads: the very messages that Accord reads on its own."""
    return f"bench.{name}.activities"


def scores(name: str) -> str:
    """The topic that a rival puts its scores on."""
    return f"bench.{name}.scores"
