"""The embedded Postgres as root and as a user: whom it runs as, where its files lie, how it ends without setpriv."""

import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import asyncpg
import pytest
from postgres_processes import eventually, is_running, user_of

from shared.db import demotion
from shared.db.demotion import Account
from shared.db.embedded import EmbeddedPostgres
from shared.db.postgres_binaries import Binaries, PostgresUnusable, find_binaries, place_binaries

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a user to give up")


@as_root
def test_root_gives_itself_up(postgres: EmbeddedPostgres) -> None:
    assert user_of(postgres.pid) != 0
    assert postgres.folder.stat().st_uid == user_of(postgres.pid)


@as_root
async def test_a_folder_below_a_closed_home_gets_its_cluster_elsewhere_and_keeps_it(open_folder: Path) -> None:
    home, places = open_folder / "home", open_folder / "places"
    home.mkdir(mode=0o700)
    data = home / "accord-data"
    with EmbeddedPostgres(data, places=places, wal_mb=8) as postgres:
        assert postgres.folder.is_relative_to(places / "clusters")
        connection = await asyncpg.connect(postgres.dsn)
        await connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
        await connection.close()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700

    data.rename(home / "renamed")
    with EmbeddedPostgres(home / "renamed", places=places) as postgres:
        connection = await asyncpg.connect(postgres.dsn)
        assert await connection.fetchval("SELECT number FROM kept") == 1
        await connection.close()


@as_root
async def test_a_data_folder_removed_and_made_again_starts_empty(open_folder: Path) -> None:
    home, places = open_folder / "home", open_folder / "places"
    home.mkdir(mode=0o700)
    with EmbeddedPostgres(home / "data", places=places, wal_mb=8) as first:
        former = first.folder
    shutil.rmtree(home / "data")
    with EmbeddedPostgres(home / "data", places=places, wal_mb=8) as second:
        assert second.folder != former
    assert former.exists()


@as_root
def test_binaries_below_a_closed_home_are_copied_once(open_folder: Path) -> None:
    home, places = open_folder / "home", open_folder / "places"
    home.mkdir(mode=0o700)
    found = find_binaries()
    for part in found.parts:
        if (found.base / part).exists():
            shutil.copytree(found.base / part, home / part, symlinks=True)
    closed = Binaries(home / found.folder.relative_to(found.base), home, found.parts)
    with EmbeddedPostgres(open_folder / "data", binaries=closed, places=places, wal_mb=8):
        copies = {path: path.stat().st_mtime_ns for path in places.glob("postgres-*")}
        assert len(copies) == 1
    with EmbeddedPostgres(open_folder / "data", binaries=closed, places=places, wal_mb=8):
        assert {path: path.stat().st_mtime_ns for path in places.glob("postgres-*")} == copies
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@as_root
def test_a_cluster_that_root_restored_is_given_to_the_user_of_postgres(made_folder: Path) -> None:
    with EmbeddedPostgres(made_folder) as postgres:
        folder = postgres.folder
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 0, 0)
    with EmbeddedPostgres(made_folder) as postgres:
        assert user_of(postgres.pid) == folder.stat().st_uid != 0


def _live_as(account: Account, data: Path, binaries: Binaries, ear: Connection) -> None:
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)
    postgres = EmbeddedPostgres(data, binaries=binaries)
    postgres.start()
    ear.send(postgres.pid)
    ear.recv()


@as_root
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_an_ordinary_user_starts_it_too_and_it_ends_with_that_parent(open_folder: Path) -> None:
    account, binaries = demotion.account_for(open_folder), find_binaries()
    assert account is not None
    if not demotion.can_enter(account, binaries.folder / "postgres"):
        binaries = place_binaries(binaries, open_folder / "places")
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, *account)
    ours, theirs = multiprocessing.Pipe()
    # A fork, because the interpreter itself may lie where this user can't read it.
    parent = multiprocessing.get_context("fork").Process(target=_live_as, args=(account, data, binaries, theirs))
    parent.start()
    try:
        assert ours.poll(30)
        pid = ours.recv()
        assert user_of(pid) == account.uid
    finally:
        parent.kill()
        parent.join()
        ours.close()
        theirs.close()
    assert eventually(lambda: not is_running(pid))


def test_without_setpriv_a_few_lines_of_python_do_the_same(open_folder: Path) -> None:
    account = demotion.account_for(open_folder)
    code = f"""
import subprocess, sys
from shared.db.demotion import Account, command_as
account = {tuple(account) if account else None}
command = command_as(Account(*account) if account else None, ["sleep", "600"], setpriv="")
print(subprocess.Popen(command, stdout=subprocess.DEVNULL).pid, flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert eventually(lambda: Path(f"/proc/{pid}/comm").read_text().strip() == "sleep")
    assert user_of(pid) == (account.uid if account else os.geteuid())
    parent.kill()
    parent.communicate()
    assert eventually(lambda: not is_running(pid))


def test_a_named_folder_without_postgres_is_an_error_and_not_a_miss(open_folder: Path) -> None:
    with pytest.raises(PostgresUnusable, match="ACCORD_POSTGRES_BIN"):
        find_binaries(str(open_folder))
