"""A backup taken while Accord works, restored elsewhere: it starts, goes on, and takes again what it lost.

The commands are those of docs/operations.md, "Back up and restore".
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from builders import eventually
from database_addresses import on_database
from e2e.chaos_house import KEY, ChaosHouse
from e2e.chaos_traffic import SENDER_SECONDS, Fields, Sender, passes, posts

from services.doctor.finding import State
from services.doctor.main import examine
from shared.clock import SystemClock, new_id
from shared.db.postgres_binaries import find_binaries

POSTS = 25
# The tests' own server doesn't wait for its disk.
NOT_THE_BACKUP = {"durability"}


@pytest.fixture
def house(open_folder: Path, database_url: str) -> Iterator[ChaosHouse]:
    house = ChaosHouse(open_folder / "house", database_url)
    yield house
    house.end()


@pytest.fixture
async def elsewhere(postgres_url: str) -> AsyncIterator[str]:
    """An empty database."""
    name = f"accord_restored_{new_id().hex}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE DATABASE {name}")
    yield on_database(postgres_url, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
def restored_house(open_folder: Path, elsewhere: str) -> Iterator[ChaosHouse]:
    house = ChaosHouse(open_folder / "restored", elsewhere)
    yield house
    house.end()


async def run(tool: str, *arguments: str) -> None:
    command = [find_binaries().command(tool), *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_a_backup_of_a_running_accord_is_restored_elsewhere_and_goes_on(
    house: ChaosHouse, restored_house: ChaosHouse, open_folder: Path, session: aiohttp.ClientSession
) -> None:
    file = str(open_folder / "accord.dump")
    await house.start()
    sender = Sender(session, KEY, [house.url])
    sent: list[list[Fields]] = []
    posting = asyncio.create_task(_post_for_ever(sender, sent))
    await eventually(lambda: sender.answers["202"] >= POSTS, within=60)
    before = set(sender.accepted)
    await run("pg_dump", "--format=custom", f"--file={file}", house.database_url)
    await eventually(lambda: len(sender.accepted) > len(before), within=60)
    house.process.kill()
    posting.cancel()
    with suppress(asyncio.CancelledError):
        await posting

    await run(
        "pg_restore",
        "--no-owner",
        "--no-privileges",
        "--exit-on-error",
        f"--dbname={restored_house.database_url}",
        file,
    )
    await restored_house.start()
    kept = {row["event_id"] for row in await restored_house.ask("SELECT event_id FROM ingest.events_seen")}
    assert before <= kept
    assert not set(sender.accepted) <= kept
    again = Sender(session, KEY, [restored_house.url])
    for post in sent:
        await again.post(post)
    await restored_house.audit(set(again.accepted))
    findings = await examine(restored_house.database_url, SystemClock())
    assert {one.check for one in findings if one.state is not State.OK} <= NOT_THE_BACKUP


async def _post_for_ever(sender: Sender, sent: list[list[Fields]]) -> None:
    for post in posts(11):
        sent.append(post)
        await sender.post(post)
        await passes(SENDER_SECONDS)
