"""A page that stays open while things happen doesn't grow. ACCORD_REFRESHES leaves it open for longer than CI does."""

import os
from typing import NamedTuple

import pytest
from browser import Desk
from builders import eventually
from playwright.async_api import CDPSession, Route
from running_accord import Caller

from shared.clock import new_id

REFRESHES = int(os.environ.get("ACCORD_REFRESHES", "10"))  # at most one a second
WARM_UP = 10  # until the browser has compiled what each of them runs, the heap grows by a fifth
SECONDS_EACH = 30
# Ten refreshes that each leak a region of the page's thirtieth part, or one listener, are beyond it.
GROWTH_MAX = 1.25
_SHOWN = """() => { const walker = document.createTreeWalker(document); let count = 1;
    while (walker.nextNode()) count++; return count; }"""


class Size(NamedTuple):
    """What the page holds after garbage was collected: nodes for each that it shows, listeners, bytes of JavaScript.

    More rows are no leak; they have neither listeners nor objects of their own.
    """

    nodes: float
    listeners: float
    heap: float


async def weigh(desk: Desk, page: CDPSession) -> Size:
    """Collects until no more nodes come free."""
    before, metrics = None, await _collect(page)
    # The document of the page before this one outlives the first collection.
    while before is None or metrics["Nodes"] < before["Nodes"]:
        before, metrics = metrics, await _collect(page)
    shown = await desk.page.evaluate(_SHOWN)
    return Size(metrics["Nodes"] / shown, metrics["JSEventListeners"], metrics["JSHeapUsedSize"])


async def _collect(page: CDPSession) -> dict[str, float]:
    """The page's metrics by name, after a collection of garbage."""
    await page.send("HeapProfiler.collectGarbage")
    return {one["name"]: one["value"] for one in (await page.send("Performance.getMetrics"))["metrics"]}


class Noise:
    """Posts so that every region of the page has something new to show, and lets the page refresh once for each post.

    The next refresh is held before it reaches the server. The page asks for one at a time, so while one is held those
    before it have been swapped in, and nothing is swapped until it is let go: a document that was read between the
    collection of garbage and the counting would weigh as much as the page.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._held: Route | None = None

    async def hold(self, route: Route) -> None:
        self._held = route

    async def make(self, refreshes: int) -> None:
        for _ in range(refreshes):
            lead = {"email": f"{new_id().hex}@acme.example"}
            # By the demo's accord these two qualify anybody.
            events = [{"type": type_, "lead": lead} for type_ in ("demo.requested", "survey.completed")]
            assert (await self._caller.post("/v1/events", {"events": events})).status == 202
            if self._held is not None:
                held, self._held = self._held, None
                await held.continue_()
            await eventually(lambda: self._held is not None, within=SECONDS_EACH)


@pytest.mark.parametrize("path", ["/", "/clocks"])
async def test_a_page_left_open_under_load_does_not_grow(desk: Desk, caller: Caller, path: str) -> None:
    await desk.go(path)
    page = await desk.context.new_cdp_session(desk.page)
    await page.send("Performance.enable")
    noise = Noise(caller)
    await desk.page.route(desk.url + path, noise.hold)
    await noise.make(WARM_UP)
    before = await weigh(desk, page)
    await noise.make(REFRESHES)
    after = await weigh(desk, page)
    for name, was, became in zip(Size._fields, before, after, strict=True):
        assert became < was * GROWTH_MAX, f"{name}: {was:g}, and {REFRESHES} refreshes later {became:g}"
