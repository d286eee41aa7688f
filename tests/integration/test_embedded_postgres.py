"""The embedded Postgres as root and as a user: its life, its death with its parent, its place, its refusals."""

import json
import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import asyncpg
import pytest

from shared.db import demotion
from shared.db.demotion import Account
from shared.db.embedded import EmbeddedPostgres
from shared.db.postgres_binaries import Binaries, PostgresUnusable, find_binaries, place_binaries
from shared.db.postmaster import wait_until_gone

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a user to give up")

# Another Accord, as far as Postgres can tell: starts it, says where, and stays.
_PARENT = """
import json, sys, structlog
from pathlib import Path
from shared.db.embedded import EmbeddedPostgres
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
postgres = EmbeddedPostgres(Path(sys.argv[1]), places=Path(sys.argv[1]) / "places")
print(json.dumps({"dsn": postgres.start(), "pid": postgres.pid}), flush=True)
sys.stdin.read()
postgres.stop()
"""


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.01)
    return True


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].strip().startswith("Z")


def user_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data folder with a cluster in it, made once: copying is quicker than initdb."""
    folder = Path(tempfile.mkdtemp(prefix="accord-made-"))
    folder.chmod(0o755)
    with EmbeddedPostgres(folder):
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
    command = [sys.executable, "-c", _PARENT, str(made_folder)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_line(parent: subprocess.Popen[str]) -> tuple[str, int]:
    assert parent.stdout is not None
    said = json.loads(parent.stdout.readline())
    return said["dsn"], said["pid"]


async def test_rows_survive_a_restart_and_a_kill_at_the_same_address(postgres: EmbeddedPostgres) -> None:
    before = postgres.dsn
    connection = await asyncpg.connect(before)
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
    await connection.close()

    assert postgres.restart() == before
    os.kill(postgres.pid, signal.SIGKILL)
    assert postgres.restart() == before

    connection = await asyncpg.connect(before)
    assert await connection.fetchval("SELECT number FROM kept") == 1
    assert await connection.fetchval("SHOW fsync") == "on"
    assert await connection.fetchval("SHOW wal_compression") in {"on", "pglz", "lz4"}
    await connection.close()


async def test_a_stopped_postgres_is_gone_and_its_folder_can_be_started_again(made_folder: Path) -> None:
    first = EmbeddedPostgres(made_folder)
    first.start()
    pid = first.pid
    first.stop()
    first.stop()
    assert not is_running(pid)

    with EmbeddedPostgres(made_folder) as second:
        connection = await asyncpg.connect(second.dsn)
        assert await connection.fetchval("SELECT current_database()") == "accord"
        await connection.close()


async def test_only_the_password_opens_it_and_only_its_owner_can_read_that(
    postgres: EmbeddedPostgres, open_folder: Path
) -> None:
    secret = open_folder / "postgres.password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.dsn.replace(secret.read_text().strip(), "wrong"))


async def test_a_lost_password_is_replaced(made_folder: Path) -> None:
    with EmbeddedPostgres(made_folder):
        pass
    (made_folder / "postgres.password").unlink()
    with EmbeddedPostgres(made_folder) as postgres:
        connection = await asyncpg.connect(postgres.dsn)
        await connection.close()


def test_other_files_of_the_folder_are_left_alone(open_folder: Path) -> None:
    (open_folder / "notes.txt").write_text("mine")
    with EmbeddedPostgres(open_folder):
        pass
    assert sorted(path.name for path in open_folder.iterdir()) == [
        "notes.txt",
        "postgres",
        "postgres.log",
        "postgres.password",
    ]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_a_killed_parent_and_the_next_start_waits_for_it(
    parent: subprocess.Popen[str], open_folder: Path, ending: signal.Signals
) -> None:
    _, pid = first_line(parent)
    parent.send_signal(ending)
    with EmbeddedPostgres(open_folder, places=open_folder / "places") as successor:
        assert not is_running(pid)
        assert is_running(successor.pid)


def test_a_signal_to_the_group_of_its_parent_does_not_reach_it(parent: subprocess.Popen[str]) -> None:
    _, pid = first_line(parent)
    assert os.getpgid(pid) == pid != os.getpgid(parent.pid)
    assert os.getsid(pid) == pid


def test_a_folder_whose_accord_still_lives_is_refused(parent: subprocess.Popen[str], open_folder: Path) -> None:
    _, pid = first_line(parent)
    with pytest.raises(PostgresUnusable, match=f"kill -INT {pid}"):
        wait_until_gone(open_folder / "postgres", 0.05)
    assert is_running(pid)


def test_a_number_that_another_program_has_by_now_is_not_taken_for_a_predecessor(made_folder: Path) -> None:
    with EmbeddedPostgres(made_folder) as postgres:
        pid_file = postgres.folder / "postmaster.pid"
        left_behind = pid_file.read_text()
    pid_file.write_text(left_behind.replace(left_behind.splitlines()[0], str(os.getpid()), 1))
    with EmbeddedPostgres(made_folder) as postgres:
        assert is_running(postgres.pid)


def test_a_cluster_of_another_major_version_is_refused_with_what_to_do(made_folder: Path) -> None:
    with EmbeddedPostgres(made_folder) as postgres:
        version = postgres.folder / "PG_VERSION"
        newer = version.read_text()
    version.write_text("11\n")
    with pytest.raises(PostgresUnusable, match=r"made by Postgres 11, .* ACCORD_POSTGRES_BIN"):
        EmbeddedPostgres(made_folder).start()
    version.write_text(newer)
    with EmbeddedPostgres(made_folder):
        pass


def test_a_folder_with_something_else_in_it_is_refused(open_folder: Path) -> None:
    (open_folder / "postgres").mkdir()
    (open_folder / "postgres" / "diary.txt").write_text("mine")
    with pytest.raises(PostgresUnusable, match=r"not empty|can't|failed"):
        EmbeddedPostgres(open_folder, places=open_folder / "places").start()
    assert (open_folder / "postgres" / "diary.txt").read_text() == "mine"


def test_it_is_started_from_the_main_thread_only(open_folder: Path) -> None:
    refused: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedPostgres(open_folder).start()
        except PostgresUnusable as error:
            refused.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(refused[0])


@as_root
def test_root_gives_itself_up(postgres: EmbeddedPostgres) -> None:
    assert user_of(postgres.pid) != 0
    assert postgres.folder.stat().st_uid == user_of(postgres.pid)


@as_root
async def test_a_folder_below_a_closed_home_gets_its_cluster_elsewhere_and_keeps_it(open_folder: Path) -> None:
    home, places = open_folder / "home", open_folder / "places"
    home.mkdir(mode=0o700)
    data = home / "accord-data"
    with EmbeddedPostgres(data, places=places) as postgres:
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
    with EmbeddedPostgres(home / "data", places=places) as first:
        former = first.folder
    shutil.rmtree(home / "data")
    with EmbeddedPostgres(home / "data", places=places) as second:
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
    with EmbeddedPostgres(open_folder / "data", binaries=closed, places=places):
        copies = {path: path.stat().st_mtime_ns for path in places.glob("postgres-*")}
        assert len(copies) == 1
    with EmbeddedPostgres(open_folder / "data", binaries=closed, places=places):
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
