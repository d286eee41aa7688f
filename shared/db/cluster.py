"""The folder of an embedded Postgres: made once, in a place its user can reach, with a password of its own.

As root a folder that the demoted user can't reach (below a home of mode 700, say) gets its cluster under
/var/lib/accord, and DIR/postgres becomes a link to it. Nobody's parent folders are ever opened.
"""

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from shared.db.demotion import Account, account_for, can_enter, command_as, give
from shared.db.postgres_binaries import Binaries, PostgresUnusable, make_open_folder, place_binaries
from shared.db.postmaster import wait_until_gone

PLACES: Final = Path("/var/lib/accord")
ROLE: Final = "accord"
DATABASE: Final = "accord"
_FORMER_SECONDS: Final = 60.0
# At the end of a file of the WAL every commit waits until the next one is written, unless it is there already. A new
# cluster begins with files for so much WAL, checkpoints keep as much (`min_wal_size`), and beyond that files are small.
WAL_MB: Final = 256
_WAL_FILE_MB: Final = 4
_BUILTIN_LOCALE_SINCE: Final = 17

logger = structlog.get_logger(component="embedded_postgres")


class Cluster:
    """DIR/postgres, DIR/postgres.password, and the binaries and the user that serve them."""

    def __init__(self, data_dir: Path, binaries: Binaries, *, places: Path = PLACES, wal_mb: int = WAL_MB) -> None:
        self._data_dir = data_dir.absolute()
        self._link = self._data_dir / "postgres"
        self._password_file = self._data_dir / "postgres.password"
        self._places = places
        self._wal_mb = wal_mb
        self.binaries = binaries
        self.folder = self._link
        self.account: Account | None = None
        self.password = ""

    def prepare(self) -> None:
        """Makes what is missing. Raises PostgresUnusable with a sentence that says what to do."""
        self._data_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.folder = self._link.resolve()
        self.account = account_for(self.folder)
        self._place_binaries()
        version_file = self.folder / "PG_VERSION"
        exists = self._exists(version_file)
        if exists:
            self._refuse_another_major(version_file.read_text().strip())
            self._own()
            wait_until_gone(self.folder, _FORMER_SECONDS)
        self.folder = self._choose_place(exists)
        has_password = self._password_file.exists()
        self.password = self._password_file.read_text().strip() if has_password else self._write_password()
        if not exists:
            self._create()
        elif not has_password:
            self._single_user(self.folder, [f"ALTER ROLE {ROLE} PASSWORD '{self.password}'"])

    def run(self, command: Sequence[str], *, stdin: str = "") -> str:
        """Runs one of the binaries as the cluster's user. Raises PostgresUnusable with what it said."""
        done = subprocess.run(
            command_as(self.account, command), input=stdin, capture_output=True, text=True, cwd="/", check=False
        )
        if done.returncode != 0:
            raise PostgresUnusable(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def _place_binaries(self) -> None:
        if can_enter(self.account, self.binaries.folder / "postgres"):
            return
        origin = self.binaries.folder
        self.binaries = place_binaries(self.binaries, self._places)
        logger.warning(
            "postgres_binaries_placed",
            path=str(self.binaries.folder),
            because=f"the user that Postgres runs as can't reach {origin}",
        )

    def _exists(self, version_file: Path) -> bool:
        try:
            return version_file.exists()
        except PermissionError:
            raise self._not_ours() from None

    def _own(self) -> None:
        """A cluster that root copied here is given to Postgres' user; another user's is refused."""
        owner = self.folder.stat().st_uid
        if self.account is not None:
            if owner == 0:
                give(self.folder, self.account)
        elif owner != os.geteuid():
            raise self._not_ours()

    def _not_ours(self) -> PostgresUnusable:
        return PostgresUnusable(
            f"{self.folder} belongs to another user (was Accord started as root before?): start Accord as that user, "
            f"or give it to this one with `chown -R $(id -u) {self.folder}` as root"
        )

    def _refuse_another_major(self, made_by: str) -> None:
        if made_by != str(self.binaries.major()):
            raise PostgresUnusable(
                f"{self.folder} was made by Postgres {made_by}, but {self.binaries.folder} holds "
                f"{self.binaries.version()}: name the bin folder of a Postgres {made_by} in ACCORD_POSTGRES_BIN, "
                "or dump the database with that one and restore it into a new data folder"
            )

    def _choose_place(self, exists: bool) -> Path:
        if can_enter(self.account, self.folder if exists else self._data_dir):
            return self.folder
        placed = self._free_name()
        make_open_folder(placed.parent)
        if exists:
            shutil.move(self.folder, placed)
            give(placed, self.account)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(placed)
        logger.warning(
            "postgres_cluster_placed",
            path=str(placed),
            because=f"the user that Postgres runs as can't reach {self._data_dir}",
        )
        return placed

    def _free_name(self) -> Path:
        # The cluster of a former folder of this name is somebody's data still: neither taken over nor removed.
        digest = hashlib.sha256(str(self._data_dir).encode()).hexdigest()[:12]
        name = f"{self._data_dir.parent.name}-{self._data_dir.name}-{digest}"
        number, placed = 1, self._places / "clusters" / name
        while placed.exists():
            logger.warning("postgres_former_cluster_kept", path=str(placed))
            number += 1
            placed = placed.with_name(f"{name}-{number}")
        return placed

    def _write_password(self) -> str:
        password = secrets.token_urlsafe(24)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(password + "\n")
        return password

    def _create(self) -> None:
        """initdb beside the final place and a rename, so that a start killed half-way leaves no half cluster."""
        if self.folder.exists() and any(self.folder.iterdir()):
            raise PostgresUnusable(
                f"{self.folder} is not empty and holds no Postgres cluster: move it away, or name another DIR"
            )
        self.folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".postgres-", dir=self.folder.parent))
        try:
            (staging / "password").write_text(self.password)
            give(staging, self.account)
            fresh = staging / "cluster"
            self.run([*self._initdb(), "-D", str(fresh), f"--pwfile={staging / 'password'}"])
            self._single_user(fresh, [f"CREATE DATABASE {DATABASE} OWNER {ROLE}"])
            self._make_wal(fresh)
            if self.folder.exists():
                self.folder.rmdir()
            fresh.rename(self.folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        logger.info("postgres_cluster_created", path=str(self.folder), version=self.binaries.version())

    def _initdb(self) -> list[str]:
        builtin = self.binaries.major() >= _BUILTIN_LOCALE_SINCE
        unicode_locale = "C.UTF-8" if sys.platform == "linux" else "C"
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            if builtin
            else [f"--locale={unicode_locale}"]
        )
        options = ["--encoding=UTF8", "--auth=scram-sha-256", f"--username={ROLE}", "--lc-messages=C"]
        return [self.binaries.command("initdb"), *options, f"--wal-segsize={_WAL_FILE_MB}", *locale]

    def _make_wal(self, folder: Path) -> None:
        """Fills one file after the other; the checkpoint at the end makes them the next ones again."""
        fill = ["SELECT pg_logical_emit_message(false, 'accord', '')", "SELECT pg_switch_wal()"]
        # A switch writes zeros to the end of its file by itself.
        statements = ["SET wal_init_zero = off", *fill * (self._wal_mb // _WAL_FILE_MB)]
        self._single_user(folder, statements, f"min_wal_size={self._wal_mb}MB")

    def _single_user(self, folder: Path, statements: Sequence[str], *settings: str) -> None:
        options = [option for setting in settings for option in ("-c", setting)]
        command = [self.binaries.command("postgres"), "--single", "-D", str(folder), *options, "postgres"]
        self.run(command, stdin="".join(f"{statement}\n" for statement in statements))
