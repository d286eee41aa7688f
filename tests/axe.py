"""axe-core (npm, unpacked by .ci/run into .tools): what keeps people out of a page, by WCAG 2.2 AA."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

REQUIRED = "ACCORD_REQUIRE_AXE"
_FILE = Path(__file__).parents[1] / ".tools" / "axe" / "axe.min.js"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """async (tags) => (await axe.run(document, {runOnly: {type: 'tag', values: tags}})).violations.map(
    (one) => ({rule: one.id, help: one.help,
               nodes: one.nodes.map((node) => node.html + ' — ' + node.failureSummary)}))"""


async def complaints(page: Page) -> list[dict[str, Any]]:
    """What axe finds wrong with the page as it stands now. Skips the test where axe is missing and may be."""
    if not _FILE.exists():
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and {_FILE.name} is not in .tools/axe")
        pytest.skip("no axe-core here; .ci/run unpacks it")
    # Evaluated by the debugger, so that the page's own policy (no foreign scripts) stays as it is.
    await page.evaluate(_FILE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = await page.evaluate(_RUN, _TAGS)
    return found
