"""Files against a real `accord up`: the documented lines, and a kill -9 in the middle of one."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from builders import eventually
from documented_code import DOCS
from running_accord import ADMIN_KEY, Caller, RunningAccord, has_applied, start_accord

from services.demo.settings import ACCORD

ROWS = 12_000


async def run(accord: RunningAccord, folder: Path, command: str, **variables: str) -> str:
    """What the command prints, asked of this Accord."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", command.replace("http://127.0.0.1:8080", accord.url)),
        cwd=folder,
        env={**os.environ, "KEY": ADMIN_KEY, **variables},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, command
    return printed.decode("utf-8-sig")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
async def test_the_documented_lines_import_a_file_and_say_what_became_of_it(
    shared_accord: RunningAccord, caller: Caller, tmp_path: Path
) -> None:
    _, file, _, lines, *_ = (DOCS / "sources.md").read_text().partition("## Import a file")[2].split("```")
    (tmp_path / "scans.csv").write_text(file.lstrip("\n"))
    source, upload, show, errors = re.findall(r"^curl.*$", lines, re.MULTILINE)
    assert json.loads(await run(shared_accord, tmp_path, source))["name"] == "fair-2026"
    id = json.loads(await run(shared_accord, tmp_path, upload))["id"]
    shown: dict[str, Any] = {}

    async def is_done() -> bool:
        shown.update(json.loads(await run(shared_accord, tmp_path, show, ID=id)))
        return bool(shown["state"] == "done")

    await eventually(is_done, within=20)
    assert (shown["counts"]["accepted"], shown["counts"]["rejected"]) == (1, 1)
    assert shown["first_errors"][0]["line"] == 3
    assert (await run(shared_accord, tmp_path, errors, ID=id)).splitlines()[1].startswith("3,Email: must be an email")

    async def is_known() -> bool:
        return await has_applied(caller, "eva@okapi.example", lambda lead: lead["profile"]["company"] == "Okapi")

    await eventually(is_known, within=20)


@pytest.fixture
async def killed(open_folder: Path) -> AsyncIterator[RunningAccord]:
    accord = await start_accord(open_folder, ACCORD, ACCORD_INGEST_IMPORT_ROWS_PER_SECOND="1500")
    yield accord
    accord.process.stop()


async def test_a_killed_accord_goes_on_with_a_file_and_counts_nothing_twice(
    killed: RunningAccord, session: aiohttp.ClientSession
) -> None:
    caller = Caller(session, killed.url)
    await caller.post("/v1/sources", {"name": "fair", "kind": "generic", "team": "marketing"})
    rows = [f"p{n}@okapi.example,2026-11-20 10:{n // 60 % 60:02}:{n % 60:02},{n}" for n in range(ROWS)]
    rows[5_000] = "nobody,2026-11-20 10:00:00,x"
    raw = "\n".join(["Email,Scanned at,Badge", *rows]).encode()
    answer = await caller.post("/v1/imports?source=fair", raw=raw, Content_Type="text/csv")
    assert answer.status == 202, answer
    path = f"/v1/imports/{answer.json['id']}"

    async def is_in_the_middle() -> bool:
        return bool((await caller.get(path)).json["counts"]["rows"] >= 1_000)

    await eventually(is_in_the_middle, within=30)
    killed.process.kill()
    killed.process.start()
    await eventually(lambda: killed.process.address() is not None, within=60)
    again = Caller(session, str(killed.process.address()))
    shown: dict[str, Any] = {}

    async def is_done() -> bool:
        shown.update((await again.get(path)).json)
        return bool(shown["state"] == "done")

    await eventually(is_done, within=90)
    found = {"rows": ROWS, "accepted": ROWS - 1, "duplicates": 0, "rejected": 1, "ignored": 0}
    assert (shown["counts"], shown["bytes_read"]) == (found, len(raw))
    repeated = await again.post("/v1/imports?source=fair", raw=raw, Content_Type="text/csv")
    path = f"/v1/imports/{repeated.json['id']}"
    await eventually(is_done, within=90)
    assert (shown["counts"]["accepted"], shown["counts"]["duplicates"]) == (0, ROWS - 1)


async def test_who_sends_a_large_file_that_is_refused_sees_why(
    shared_accord: RunningAccord, caller: Caller, tmp_path: Path
) -> None:
    """Though most of it is still on its way, whether the client waits for a 100 Continue or not."""
    await caller.post("/v1/sources", {"name": "large", "kind": "generic", "team": "marketing"})
    raw = b"Name,Company\n" + b"Ada,Okapi\n" * 2_000_000
    answer = await caller.post("/v1/imports?source=large", raw=raw, Content_Type="text/csv")
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "header")
    assert (
        await caller.with_key("acc_no_0123456789").post("/v1/imports", raw=raw, Content_Type="text/csv")
    ).status == 401
    if shutil.which("curl") is not None:
        (tmp_path / "large.csv").write_bytes(raw)
        head = "-H 'Content-Type: text/csv' -H \"Authorization: Bearer $KEY\""
        post = f"curl -s {head} -T large.csv -X POST {shared_accord.url}"
        assert json.loads(await run(shared_accord, tmp_path, f"{post}/v1/imports?source=large"))["status"] == 422
        assert (
            json.loads(await run(shared_accord, tmp_path, f"{post}/v1/imports?source=large", KEY="x"))["status"] == 401
        )
