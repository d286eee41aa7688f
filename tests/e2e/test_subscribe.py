"""docs/subscribe.md does what it says: a newcomer's receiver gets a verified lead.qualified."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from documented_code import program, shell
from patience import within
from running_accord import ADMIN_KEY, RunningAccord

from shared.clock import new_id

PAGE = "subscribe.md"
SECONDS = 30


@asynccontextmanager
async def running(folder: Path, name: str, *arguments: str, **environment: str) -> AsyncIterator[asyncio.StreamReader]:
    """What the page's program of this name prints."""
    (folder / name).write_text(program(PAGE, name))
    command = (sys.executable, str(folder / name), *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, env={**os.environ, **environment})
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def run_shell(script: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash", "-ec", script, stdout=PIPE, env={**os.environ, **environment}
    )
    async with within(SECONDS):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


async def line_with(printed: asyncio.StreamReader, word: str) -> str:
    async with within(SECONDS):
        while word not in (line := (await printed.readline()).decode()):
            assert line, f"it ended without {word}"
    return line.strip()


async def until_it_listens(port: int) -> None:
    async with within(SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0)
                continue
            writer.close()
            return


async def test_the_receiver_of_the_page_gets_a_verified_qualified_lead(
    shared_accord: RunningAccord, tmp_path: Path
) -> None:
    secret = (await run_shell(shell(PAGE, "WEBHOOK_SECRET=whsec_").splitlines()[0] + "; echo $WEBHOOK_SECRET")).strip()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    email = f"ann-{new_id().hex}@acme.example"

    async def call(word: str) -> str:
        script = shell(PAGE, word).replace("http://127.0.0.1:8080", shared_accord.url).replace(":9000", f":{port}")
        script = script.replace("ann@acme.example", email)
        return await run_shell(script, ACCORD_KEY=ADMIN_KEY, WEBHOOK_SECRET=secret)

    async with running(tmp_path, "receiver.py", str(port), WEBHOOK_SECRET=secret) as printed:
        await until_it_listens(port)
        assert '"state":"active"' in await call("v1/subscriptions")
        assert '"accepted":1' in (await call("v1/events")).replace(" ", "")
        line = await line_with(printed, email)
        assert line.startswith(f"accord.lead.qualified {email} grade ")


async def test_a_stream_is_followed_and_resumed(shared_accord: RunningAccord, tmp_path: Path) -> None:
    async def qualify(email: str) -> None:
        script = shell(PAGE, "v1/events").replace("http://127.0.0.1:8080", shared_accord.url)
        await run_shell(script.replace("ann@acme.example", email), ACCORD_KEY=ADMIN_KEY)

    names = [f"{name}-{new_id().hex}@acme.example" for name in ("first", "second")]
    async with running(tmp_path, "follow.py", shared_accord.url, ACCORD_KEY=ADMIN_KEY) as printed:
        await line_with(printed, "retry")
        await qualify(names[0])
        last_id = (await line_with(printed, "id: ")).removeprefix("id: ")
        assert names[0] in await line_with(printed, "data: ")
    await qualify(names[1])
    async with running(tmp_path, "follow.py", shared_accord.url, last_id, ACCORD_KEY=ADMIN_KEY) as printed:
        found = await line_with(printed, "data: ")
        assert names[1] in found
        assert names[0] not in found


def test_the_page_names_nothing_that_is_not_tested() -> None:
    assert program(PAGE, "consume.py")
    with pytest.raises(ValueError, match="not enough values"):
        program(PAGE, "nothing.py")
