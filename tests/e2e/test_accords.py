"""`accord accords` as both sides use it: a change is compared, proposed, signed, and decides once it is in effect."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from builders import eventually
from patience import within
from running_accord import Caller, RunningAccord, has_applied, start_accord

from services.demo.process import AccordEnded

FIRST = """\
accord: 1
name: Two versions
calendar: {timezone: UTC, hours: {mon: ["00:00-24:00"]}}
scoring:
  engagement:
    rules:
      - {id: survey, activity: survey.completed, points: 15, half_life: never}
stages:
  mql: {engagement: {gte: 100}}
"""
SECOND = FIRST.replace("points: 15", "points: 20")
SECONDS = 60


class Said(NamedTuple):
    """What a command wrote, and how it ended."""

    code: int
    out: str
    err: str


class Commands:
    """`accord accords …` with one key."""

    def __init__(self, url: str, key: str | None) -> None:
        self._environment = {**os.environ, "ACCORD_URL": url, "COLUMNS": "200", "NO_COLOR": "1"}
        self._environment.pop("ACCORD_KEY", None)
        if key is not None:
            self._environment["ACCORD_KEY"] = key

    async def __call__(self, *arguments: str) -> Said:
        command = (sys.executable, "-m", "services.cli", "accords", *arguments)
        process = await asyncio.create_subprocess_exec(*command, env=self._environment, stdout=PIPE, stderr=PIPE)
        async with within(SECONDS):
            out, err = await process.communicate()
        return Said(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def accord(open_folder: Path) -> AsyncIterator[RunningAccord]:
    agreement = open_folder / "first.yaml"
    agreement.write_text(FIRST, encoding="utf-8")
    (open_folder / "second.yaml").write_text(SECOND, encoding="utf-8")
    running = await start_accord(open_folder, agreement)
    yield running
    running.process.stop()


async def commands(caller: Caller, url: str, role: str, *scopes: str) -> Commands:
    made = await caller.post("/v1/keys", {"name": f"{role} lead", "role": role, "scopes": list(scopes)})
    return Commands(url, made.json["key"])


async def test_a_change_is_proposed_compared_signed_by_both_and_decides(
    accord: RunningAccord, session: aiohttp.ClientSession, open_folder: Path
) -> None:
    caller, file = Caller(session, accord.url), str(open_folder / "second.yaml")
    marketing = await commands(caller, accord.url, "marketing", "accord:propose", "accord:sign")
    sales = await commands(caller, accord.url, "sales", "accord:sign")
    await refuses_plainly(marketing, accord.url, open_folder)

    assert await marketing("diff", file) == Said(0, f"from version 1 to {file}:\n  survey: 15 → 20 points\n", "")
    proposed = await marketing("propose", file)
    assert proposed.out == (
        "from version 1 to version 2:\n  survey: 15 → 20 points\n"
        "Version 2 is proposed, and takes effect once marketing and sales have signed it:\n  accord accords sign 2\n"
    )
    assert (await sales("diff", "2")).out == "from version 1 to version 2:\n  survey: 15 → 20 points\n"
    assert "once sales has signed it" in (await marketing("sign", "2")).out
    again = await marketing("sign", "2")
    assert (again.code, again.err.splitlines()[0][:43]) == (1, "error: This side has signed: Marketing has ")
    assert (await sales("sign", "2")).out.startswith("version 2: scheduled, takes effect at ")
    assert (await sales("show", "2", "--source")).out == SECOND

    await decides_by_the_second(caller)
    listed = json.loads((await sales("list", "--json")).out)
    assert [(version["version"], version["state"]) for version in listed] == [(2, "effective"), (1, "superseded")]
    told = (await sales("list")).out
    assert told.startswith("version 2: effective since ")
    assert "version 1: superseded; signed by bootstrap, put in effect at the first start" in told
    assert accord.process.stop() == 0
    # A later start with the first document changes no agreement.
    accord.process.start()
    with pytest.raises(AccordEnded, match=r"version 2 of the accord is on file.*accord accords propose FILE"):
        await eventually(lambda: accord.process.address() is not None, within=SECONDS)


async def decides_by_the_second(caller: Caller) -> None:
    async def is_in_effect() -> bool:
        return bool((await caller.get("/v1/accords/2")).json["state"] == "effective")

    await eventually(is_in_effect, within=30)
    await caller.post("/v1/events", {"type": "survey.completed", "lead": {"email": "new@okapi.example"}})

    async def is_scored() -> bool:
        return await has_applied(
            caller, "new@okapi.example", lambda lead: (lead["engagement"], lead["accord"]) == (20.0, 2)
        )

    await eventually(is_scored, within=10)


async def refuses_plainly(marketing: Commands, url: str, folder: Path) -> None:
    """Nothing of this changes anything."""
    wrong = folder / "wrong.yaml"
    wrong.write_text(SECOND.replace("half_life", "half_live"), encoding="utf-8")
    refused = await marketing("propose", str(wrong))
    assert refused.code == 1
    assert "line 7: found the unknown key half_live, allowed: did you mean `half_life`?" in refused.err
    assert (await marketing("diff", "nowhere.yaml")).code == 2
    assert (await Commands(url, None)("list")).code == 2
    away = await Commands("http://127.0.0.1:9", "acc_x_12345678")("list")
    assert (away.code, away.err[:47]) == (1, "error: Accord can't be reached at http://127.0.")
    assert (await marketing("show", "7")).err == "error: No such accord: No version of the accord has this number.\n"
