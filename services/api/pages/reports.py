"""Reports that several readers of a page share, where making one takes long.

A page that is alive asks for its reports whenever something happens, for each who has it open: on a million leads that
would be all that the database does. So what took long is made at most a tenth of the time, for everybody together, and
the former one is shown meanwhile; the page then says that it wants to be fetched soon. What is quick is made anew.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from services.api.pages.calls import Refused, path
from services.api.pages.visit import Visit

SCOPE: Final = "reports:read"
QUICK_SECONDS: Final = 0.05
KEPT_SHARE: Final = 9.0
# How old a report may be when it is shown; who comes after a long while rather waits, unless that takes seconds.
SHOWN_SECONDS: Final = 60.0
SHOWN_SHARE: Final = 100.0
REPORTS_MAX: Final = 500

Make = Callable[[], Awaitable[Any]]


class Shown(NamedTuple):
    """A report, and whether it may lack what happened just now."""

    answer: Any
    is_old: bool


class _Made(NamedTuple):
    answer: Any
    at: float
    took: float


class Reports:
    """Of one process. `time` counts seconds."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._made: OrderedDict[Any, _Made] = OrderedDict()
        self._under_way: dict[Any, asyncio.Task[Any]] = {}

    async def get(self, key: Any, make: Make) -> Shown:
        """What `make` gives; or gave a while ago, if it took long then."""
        made, now = self._made.get(key), self._time()
        if made is None or made.took <= QUICK_SECONDS or now - made.at > max(SHOWN_SECONDS, SHOWN_SHARE * made.took):
            return Shown(await self._make(key, make), is_old=False)
        if now - made.at > KEPT_SHARE * made.took and key not in self._under_way:
            task = self._under_way[key] = asyncio.create_task(self._make(key, make))
            task.add_done_callback(lambda done: self._forget(key, done))
        return Shown(made.answer, is_old=True)

    async def _make(self, key: Any, make: Make) -> Any:
        began = self._time()
        answer = await make()
        ended = self._time()
        self._made[key] = _Made(answer, ended, ended - began)
        self._made.move_to_end(key)
        if len(self._made) > REPORTS_MAX:
            self._made.popitem(last=False)
        return answer

    def _forget(self, key: Any, done: asyncio.Task[Any]) -> None:
        """One that failed is asked for again by the next reader, who is told why."""
        del self._under_way[key]
        if not done.cancelled() and done.exception() is not None:
            self._made.pop(key, None)


class Reader:
    """Reports for one visit. They tell of no single lead, and are the same for everybody who may read them."""

    def __init__(self, reports: Reports, visit: Visit) -> None:
        self._reports = reports
        self._visit = visit
        self.has_old = False

    async def ask(self, name: str, period: str = "", **query: Any) -> Any:
        """The answer of `GET /v1/<name>`; None if this reader may not know. `period` names what `from` and `to` of the
        query mean, such as `week`: as time passes it is the same report."""
        visit = self._visit
        principal = visit.principal
        if principal is None or not principal.may(SCOPE) or principal.owner is not None:
            return await visit.api.ask(path(name), **query)
        moving = ("from_", "to") if period else ()
        key = (name, period, *sorted((field, value) for field, value in query.items() if field not in moving))
        try:
            shown = await self._reports.get(key, lambda: visit.api.get(path(name), **query))
        except Refused as refused:
            if refused.status != 403:
                raise
            return None
        self.has_old = self.has_old or shown.is_old
        return shown.answer
