"""`accord demo` as people run it: it ends by itself with counts that add up, or in order when somebody stops it.

The first run has Alertmanager on its path wherever one is unpacked, the second only where one is installed."""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest
from alertmanager_tools import find
from patience import within

from services.demo.alertmanager import find_alertmanager

ONCE_SECONDS = 240
START_SECONDS = 120
STOP_SECONDS = 40
FIELDS = (
    *("posted", "accepted", "duplicates", "rejected"),
    *("leads", "qualified", "met", "breached", "delivered", "seconds"),
)


async def test_the_demo_ends_by_itself_and_its_counts_add_up(open_folder: Path) -> None:
    alertmanager = find("prometheus-alertmanager")
    folders = [str(Path(alertmanager).parent)] if alertmanager else []
    process = await demo(open_folder, "--once", path=os.pathsep.join((*folders, os.environ["PATH"])))
    async with within(ONCE_SECONDS):
        output, _ = await process.communicate()
    lines = output.decode().splitlines()
    assert process.returncode == 0, "\n".join(lines[-40:])
    told = "\n".join(lines)
    assert "marketing proposes version 2 of the accord: survey: 15 → 20 points" in told
    assert "Mary (marketing) and Sam (sales) have signed version 2: it takes effect at " in told
    assert (moved := re.search(r"rescored: .*; engagement ([\d.]+) under version 1 → ([\d.]+) under version 2", told))
    assert float(moved[2]) > float(moved[1])
    counts = json.loads(lines[-1])
    assert any(line.startswith("chat: ") and "broken" in line.lower() for line in lines)
    assert tuple(counts) == FIELDS
    assert counts["posted"] == counts["accepted"] + counts["duplicates"] + counts["rejected"] >= 500
    assert counts["leads"] >= 100
    assert min(counts[name] for name in ("duplicates", "rejected", "qualified", "met", "breached")) > 0
    assert counts["delivered"] >= counts["qualified"] + counts["met"] + counts["breached"]
    for news in ("warning: ", "breach: ", "escalation 2: ", "reassigned: ", "breach taken back: "):
        assert any(line.startswith(news) for line in lines), news
    await check_alerts(told, is_installed=alertmanager is not None)
    assert is_empty(open_folder)


async def test_the_demo_is_stopped_in_order_and_leaves_nothing_behind(open_folder: Path) -> None:
    process = await demo(open_folder)
    assert process.stdout is not None
    told: list[bytes] = []
    async with within(START_SECONDS):
        while not told or (told[-1] and not told[-1].startswith(b"qualified: ")):
            told.append(await process.stdout.readline())
    if told[-1]:
        process.send_signal(signal.SIGINT)
    async with within(STOP_SECONDS):
        rest, _ = await process.communicate()
    output = (b"".join(told) + rest).decode()
    assert process.returncode == 0, output
    assert "because " in output
    assert re.search(r"^Today: http://127\.0\.0\.1:\d+/sign-in#acc_\w+", output, re.MULTILINE)
    await check_alerts(output, is_installed=find_alertmanager() is not None, breaches=False)
    assert is_empty(open_folder)


async def check_alerts(told: str, *, is_installed: bool, breaches: bool = True) -> None:
    """Alertmanager was shown, with what fired there, and is gone; or it was never spoken of. That no alert lacks at the
    end, and none is too many, belongs to what the demo itself adds up."""
    if not is_installed:
        assert "Alertmanager" not in told
        return
    address = re.search(r"^Alertmanager: http://(127\.0\.0\.1):(\d+)$", told, re.MULTILINE)
    assert address is not None
    assert not breaches or re.search(r"^firing in Alertmanager: Broken promise: ", told, re.MULTILINE)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address[1], int(address[2]))


async def demo(folder: Path, *arguments: str, path: str | None = None) -> asyncio.subprocess.Process:
    """Its temporary folder lies in this one. `path` is where it looks for commands, if elsewhere than these tests."""
    environment = {**os.environ, "TMPDIR": str(folder), "PATH": path or os.environ["PATH"]}
    command = (sys.executable, "-m", "services.cli", "demo", *arguments)
    return await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=STDOUT)


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())
