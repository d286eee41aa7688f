"""Every vendor's fixtures mean what their golden files say, and every vendor has what a vendor must have."""

import json
from pathlib import Path

import pytest
from vendor_goldens import FIXTURES, fixtures, golden_of, meaning
from vendor_signers import SIGNERS

from services.ingest.vendors.registry import VENDORS


@pytest.mark.parametrize("path", list(fixtures()), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_fixture_means_what_its_golden_file_says(path: Path) -> None:
    assert meaning(path) == json.loads(golden_of(path).read_text())


def test_every_vendor_has_fixtures_and_every_folder_of_fixtures_a_vendor() -> None:
    assert {path.parent.name for path in fixtures()} == set(VENDORS) == set(SIGNERS)


def test_no_golden_file_is_left_over() -> None:
    assert {golden_of(path) for path in fixtures()} == set(FIXTURES.glob("*/*.golden.json"))
