"""The data set of `make bench-large`, in small: what was written by COPY is what the services would have written."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LEADS = 600
SECONDS_MAX = 300
# Checks that must have had something to look at, and how much of it at the least.
LOOKED_AT = {
    "accepted": 500,
    "scoring": LEADS,
    "ledger": 3 * LEADS,
    "stages": LEADS,
    "transitions": 100,
    "sla": 30,
    "clocks": 60,
    "announcements": 150,
    "lifecycle": 150,
    "delivery": 400,
    "effects": 5,
    "turns": 20,
    "loads": 20,
}


@pytest.fixture(scope="module")
def house() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="accord-large-") as folder:
        Path(folder).chmod(0o755)
        made = run("-m", "benchmarks.large", "--fill", "--leads", str(LEADS), "--data", folder)
        assert made.returncode == 0, made.stderr
        yield Path(folder)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)


@pytest.fixture(scope="module")
def found(house: Path) -> dict[str, Any]:
    audited = run("-m", "services.cli", "audit", "--data", str(house), "--json", "--processes", "1")
    answer: dict[str, Any] = json.loads(audited.stdout)
    return answer | {"exit_code": audited.returncode}


def test_the_audit_of_a_house_written_by_copy_is_clean(found: dict[str, Any]) -> None:
    assert found["exit_code"] == 0, found


def test_there_is_enough_of_everything_that_an_audit_looks_at(found: dict[str, Any]) -> None:
    lacking = {name: found["checks"][name]["looked_at"] for name in LOOKED_AT if not enough(found, name)}
    assert not lacking, lacking


def enough(found: dict[str, Any], name: str) -> bool:
    return bool(found["checks"][name]["looked_at"] >= LOOKED_AT[name])


def test_a_house_that_was_not_made_to_its_end_is_not_gone_on_with(house: Path) -> None:
    (house / "large.json").rename(house / "elsewhere.json")
    again = run("-m", "benchmarks.large", "--fill", "--leads", str(LEADS), "--data", str(house))
    (house / "elsewhere.json").rename(house / "large.json")
    assert again.returncode == 1
    assert "was not made to its end" in " ".join(again.stderr.split())
