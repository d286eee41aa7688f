"""The curl lines of the README and of docs/api.md do what stands beside them, run by a shell as they stand."""

import asyncio
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from builders import eventually
from documented_code import DOCS
from running_accord import ADMIN_KEY, Caller, RunningAccord, has_applied

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")

HOT = {"title": "VP Operations", "company": "Acme", "employees": 400, "industry": "logistics", "country": "US"}


def lines_of(page: Path, heading: str) -> list[str]:
    """The commands of the first block after that text, each over as many lines as it has."""
    block = page.read_text().partition(heading)[2].split("```")[1]
    return [command.strip() for command in re.split(r"^(?=curl|#)", block, flags=re.MULTILINE) if command[:4] == "curl"]


async def answer(accord: RunningAccord, command: str) -> Any:
    """What the command prints, asked of this Accord."""
    here = re.sub(r"(http://127\.0\.0\.1|localhost):8080", accord.url, command)
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", here), env={**os.environ, "KEY": ADMIN_KEY}, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, command
    return json.loads(printed)


async def listed(accord: RunningAccord, command: str) -> dict[str, Any]:
    """The leads that the command lists, by email, with the pages after the first one: others use this Accord too."""
    found: dict[str, Any] = {}
    page = await answer(accord, command)
    while page["next"] is not None:
        found |= {lead["email"]: lead for lead in page["items"]}
        page = await answer(accord, re.sub("(?<=sort=engagement)", f"&cursor={page['next']}", command))
    return found | {lead["email"]: lead for lead in page["items"]}


async def test_three_lines_find_the_qualified_leads_say_why_and_accept_one(
    shared_accord: RunningAccord, caller: Caller
) -> None:
    mary = "mary@acme.example"
    await caller.post("/v1/events", {"type": "demo.requested", "lead": {"email": mary}, "profile": HOT})
    await eventually(lambda: has_applied(caller, mary, lambda lead: lead["stage"] == "mql"), within=20)
    listing, why, acceptance = lines_of(DOCS / "api.md", "## Three lines")
    assert mary in await listed(shared_accord, listing)
    assert "demo.requested" in [grant["type"] for grant in (await answer(shared_accord, why))["grants"]]
    assert (await answer(shared_accord, acceptance))["stage"] == "sal"


async def test_the_readme_leads_from_a_webhook_to_an_acceptance(shared_accord: RunningAccord, caller: Caller) -> None:
    ada = "ada@bigcorp.example"
    post, qualified, why, acceptance = lines_of(DOCS.parent / "README.md", "With the key in `KEY`:")
    assert (await answer(shared_accord, post))["accepted"] == 1
    await eventually(lambda: has_applied(caller, ada, lambda lead: bool(lead["owner"] and lead["clocks"])), within=20)
    lead = (await listed(shared_accord, qualified))[ada]
    assert lead["owner"] is not None
    assert lead["due"] is not None
    assert (await answer(shared_accord, why))["grants"]
    assert (await answer(shared_accord, acceptance))["stage"] == "sal"
