"""The life of the embedded Postgres: start, restart, crash, its death with its parent, and what it refuses."""

import os
import re
import shutil
import signal
import stat
import subprocess
import threading
from pathlib import Path

import asyncpg
import pytest
from postgres_processes import eventually, first_line, is_running

from shared.db.embedded import EmbeddedPostgres
from shared.db.postgres_binaries import PostgresUnusable
from shared.db.postmaster import wait_until_gone


async def test_rows_survive_a_restart_and_a_kill_at_the_same_address(postgres: EmbeddedPostgres) -> None:
    before = postgres.dsn
    connection = await asyncpg.connect(before)
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS number")
    await connection.close()

    assert postgres.restart() == before
    os.kill(postgres.pid, signal.SIGKILL)
    assert eventually(lambda: not postgres.is_running)
    assert await postgres.start_again() == before

    connection = await asyncpg.connect(before)
    assert await connection.fetchval("SELECT number FROM kept") == 1
    assert await connection.fetchval("SHOW fsync") == "on"
    assert await connection.fetchval("SHOW wal_compression") in {"on", "pglz", "lz4"}
    await connection.close()


async def test_pages_may_take_an_eighth_of_the_memory_up_to_a_gigabyte(postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(postgres.dsn)
    pages = int(await connection.fetchval("SELECT setting FROM pg_settings WHERE name = 'shared_buffers'"))
    await connection.close()
    assert pages * 8 // 1024 == min(max(memory_kb() // 8 // 1024, 128), 1024)


def memory_kb() -> int:
    return int(re.findall(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())[0])


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


@pytest.mark.parametrize("name", ["a, b", "x" * 100])
async def test_its_folder_may_have_a_name_that_no_socket_could_have(made: Path, open_folder: Path, name: str) -> None:
    folder = shutil.copytree(made, open_folder / name, symlinks=True)
    with EmbeddedPostgres(folder) as postgres:
        connection = await asyncpg.connect(postgres.dsn)
        assert await connection.fetchval("SHOW unix_socket_directories") == ""
        await connection.close()


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


async def test_a_new_cluster_has_files_for_its_first_wal_and_keeps_them(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, wal_mb=40) as postgres:
        connection = await asyncpg.connect(postgres.dsn)
        made = await _wal_files(connection)
        for _ in range(9):
            await connection.execute("SELECT pg_logical_emit_message(false, 'test', ''), pg_switch_wal()")
        assert await _wal_files(connection) == made
        await connection.execute("CHECKPOINT")
        assert await _wal_files(connection) == made
        await connection.close()


async def _wal_files(connection: asyncpg.Connection) -> int:
    count: int = await connection.fetchval("SELECT count(*) FROM pg_ls_waldir()")
    return count
