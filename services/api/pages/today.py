"""Today: where everything stands this morning, what to do first, and what is different from yesterday."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from starlette.responses import Response

from services.api.pages.calls import path
from services.api.pages.day import DAY, WEEK, broken, drawn, entered, kept, midnight, monday
from services.api.pages.people import people_of
from services.api.pages.reports import Reader, Reports
from services.api.pages.site import Site
from services.api.pages.visit import Visit
from services.api.pages.words import When

CLOCKS_SHOWN: Final = 10
BREACHES_ASKED: Final = 100
BREACHES_SHOWN: Final = 8
SOURCES_SHOWN: Final = 8
VERSIONS_ASKED: Final = 20


class Today:
    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def register(self, site: Site) -> None:
        site.add("/", self.show, name="today")

    async def show(self, visit: Visit) -> Response:
        reports = Reader(self._reports, visit)
        funnel, sources, changes, attained, due = await asyncio.gather(
            reports.ask("funnel"),
            _sources(reports, visit.when),
            _changes(reports, visit.when),
            _attained(reports, visit.when),
            _due(visit),
        )
        return visit.render(
            "today.html",
            funnel=drawn(funnel["steps"]) if funnel else None,
            sources=sources,
            changes=changes,
            attained=attained,
            has_old=reports.has_old,
            **due,
        )


async def _due(visit: Visit) -> dict[str, Any]:
    """The most urgent clocks, what was broken, and whose they are."""
    clocks, breaches, accords = await asyncio.gather(
        visit.api.ask(path("clocks"), state="open,warned", limit=CLOCKS_SHOWN),
        visit.api.ask(path("breaches"), limit=BREACHES_ASKED),
        visit.api.ask(path("accords"), limit=VERSIONS_ASKED),
    )
    figure, today = None, []
    if breaches is not None:
        figure = broken(breaches["items"], visit.when.now, is_all=breaches["next"] is None)
        since = midnight(visit.when.now, visit.when.zone)
        today = [one for one in breaches["items"] if datetime.fromisoformat(one["breached_at"]) >= since]
    shown = today[:BREACHES_SHOWN]
    return {
        "clocks": clocks,
        "breaches": shown if breaches is not None else None,
        "broken_today": len(today),
        "broken_is_more": bool(breaches and breaches["next"] and len(today) == BREACHES_ASKED),
        "broken": figure,
        "versions": _versions((accords or {"items": []})["items"], visit.when.now),
        "people": await people_of(visit, [*(clocks or {"items": []})["items"], *shown]),
    }


async def _changes(reports: Reader, when: When) -> Any:
    """The last day beside the one before."""
    now = when.now
    last, before = await asyncio.gather(
        reports.ask("funnel", "day", from_=now - DAY, to=now),
        reports.ask("funnel", "day before", from_=now - 2 * DAY, to=now - DAY),
    )
    return entered(last["steps"], before["steps"]) if last and before else None


async def _attained(reports: Reader, when: When) -> Any:
    """By promise, of those that began in the last seven days; all together also of the seven before."""
    now = when.now
    last, before = await asyncio.gather(
        reports.ask("attainment", "week", by="clock", from_=now - WEEK, to=now),
        reports.ask("attainment", "week before", by="clock", from_=now - 2 * WEEK, to=now - WEEK),
    )
    if last is None or before is None:
        return None
    return {"rows": last["items"], "all": kept(last["items"]), "before": kept(before["items"])}


async def _sources(reports: Reader, when: When) -> Any:
    """New leads of this week by their first source, and how many of them were qualified; the most first."""
    since = monday(when.now, when.zone)
    found = await reports.ask("funnel", f"since {since.isoformat()}", by="source", from_=since, to=when.now)
    if found is None:
        return None
    rows = [(cohort["cohort"], *_counted(cohort["steps"], "lead", "mql")) for cohort in found["cohorts"]]
    return sorted((row for row in rows if row[1] or row[2]), key=lambda row: -row[1])[:SOURCES_SHOWN]


def _counted(steps: list[Mapping[str, Any]], *stages: str) -> list[int]:
    by_stage = {step["stage"]: step["entered"] for step in steps}
    return [by_stage.get(stage, 0) for stage in stages]


def _versions(accords: list[Mapping[str, Any]], now: datetime) -> list[Mapping[str, Any]]:
    """Versions of the accord of which something is new: proposed, signed by one side, about to come, come today."""
    return [
        one
        for one in accords
        if one["state"] in ("proposed", "scheduled")
        or (one["state"] == "effective" and now - datetime.fromisoformat(one["effective_at"]) < DAY)
    ]
