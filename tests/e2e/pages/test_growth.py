"""A page that stays open while things happen doesn't grow. ACCORD_REFRESHES leaves it open for longer than CI does."""

import os
from typing import NamedTuple

import pytest
from browser import Desk
from builders import eventually
from playwright.async_api import CDPSession
from running_accord import Caller

from shared.clock import new_id

REFRESHES = int(os.environ.get("ACCORD_REFRESHES", "10"))  # at most one a second
WARM_UP = 3
SECONDS_EACH = 30
# A leak of one region per refresh would at least double it.
GROWTH_MAX = 1.25
_SHOWN = """() => { const walker = document.createTreeWalker(document); let count = 1;
    while (walker.nextNode()) count++; return count; }"""


class Size(NamedTuple):
    """What the page holds after garbage was collected, for each node that it shows: nodes, listeners and bytes."""

    nodes: float
    listeners: float
    heap: float


async def weigh(desk: Desk, page: CDPSession) -> Size:
    """More rows are no leak, so all is divided by what the document has."""
    await page.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in (await page.send("Performance.getMetrics"))["metrics"]}
    shown = await desk.page.evaluate(_SHOWN)
    return Size(*(metrics[name] / shown for name in ("Nodes", "JSEventListeners", "JSHeapUsedSize")))


class Noise:
    """Posts so that every region of the page has something new to show, and waits until the page has shown it."""

    def __init__(self, desk: Desk, caller: Caller) -> None:
        self._caller = caller
        self.refreshes = 0
        desk.page.on("response", lambda answer: self._count(answer.request.resource_type))

    def _count(self, kind: str) -> None:
        self.refreshes += kind == "fetch"

    async def make(self, refreshes: int) -> None:
        for _ in range(refreshes):
            seen = self.refreshes
            lead = {"email": f"{new_id().hex}@acme.example"}
            # By the demo's accord these two qualify anybody.
            events = [{"type": type_, "lead": lead} for type_ in ("demo.requested", "survey.completed")]
            assert (await self._caller.post("/v1/events", {"events": events})).status == 202
            await eventually(lambda: self.refreshes > seen, within=SECONDS_EACH)  # noqa: B023 (awaited here)


@pytest.mark.parametrize("path", ["/", "/clocks"])
async def test_a_page_left_open_under_load_does_not_grow(desk: Desk, caller: Caller, path: str) -> None:
    await desk.go(path)
    page = await desk.context.new_cdp_session(desk.page)
    await page.send("Performance.enable")
    noise = Noise(desk, caller)
    await noise.make(WARM_UP)
    before = await weigh(desk, page)
    await noise.make(REFRESHES)
    after = await weigh(desk, page)
    for name, was, became in zip(Size._fields, before, after, strict=True):
        assert became < was * GROWTH_MAX, f"{name}: {was:g}, and {REFRESHES} refreshes later {became:g}"
