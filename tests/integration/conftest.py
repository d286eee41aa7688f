"""Fixtures of the integration tests: clusters of their own, and another Accord that can be killed."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_processes import start_parent

from shared.db.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A data folder with a cluster in it, made once: copying is quicker than initdb."""
    folder = Path(tempfile.mkdtemp(prefix="accord-made-"))
    folder.chmod(0o755)
    with EmbeddedPostgres(folder, wal_mb=8):
        pass
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def made_folder(made: Path, open_folder: Path) -> Path:
    shutil.copytree(made, open_folder, symlinks=True, dirs_exist_ok=True)
    return open_folder


@pytest.fixture
def postgres(made_folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(made_folder) as running:
        yield running


@pytest.fixture
def parent(made_folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = start_parent(made_folder)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
