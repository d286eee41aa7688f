"""Sources: what each sender brings, how much of it can be used, and what came of it."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response

from services.api.pages.calls import path
from services.api.pages.quality import MEANINGS, UNUSABLE, quality, reasons
from services.api.pages.reports import Reader, Reports
from services.api.pages.site import Site
from services.api.pages.visit import Visit
from services.api.pages.words import When

SOURCES_SHOWN: Final = 200
EVENTS_SHOWN: Final = 30
REFUSED_ASKED: Final = 100
_DIGITS_MAX: Final = 9
CAME_SHOWN: Final = 50
PERIODS: Final[Mapping[str, str]] = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year"}
MODELS: Final[Mapping[str, str]] = {"first": "first touch", "last": "last touch", "linear": "all touches alike"}


class Sources:
    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def register(self, site: Site) -> None:
        site.add("/sources", self.list, name="sources")
        site.add("/sources/{source}", self.show, name="source")
        site.on_post("/sources/{source}/replays", self.replay, name="source replay")

    async def list(self, visit: Visit) -> Response:
        reports, asked = Reader(self._reports, visit), _asked(visit)
        sources, by_source, by_campaign = await asyncio.gather(
            visit.api.get(path("sources"), limit=SOURCES_SHOWN),
            _came(reports, visit.when, asked, "source"),
            _came(reports, visit.when, asked, "campaign"),
        )
        return visit.render(
            "sources.html",
            sources=[(source, quality(source["traffic"]["by_standing"])) for source in sources["items"]],
            is_more=sources["next"] is not None,
            came=None if by_source is None else {"source": by_source, "campaign": by_campaign},
            came_shown=CAME_SHOWN,
            asked=asked,
            periods=PERIODS,
            models=MODELS,
            has_old=reports.has_old,
        )

    async def show(self, visit: Visit) -> Response:
        source_id = visit.request.path_params["source"]
        reports, asked = Reader(self._reports, visit), _asked(visit)
        source, events, refused, came = await asyncio.gather(
            visit.api.get(path("sources", source_id)),
            visit.api.get(path("sources", source_id, "events"), limit=EVENTS_SHOWN),
            visit.api.get(path("sources", source_id, "events"), standing=UNUSABLE, limit=REFUSED_ASKED),
            _came(reports, visit.when, asked, "source"),
        )
        return visit.render(
            "source.html",
            source=source,
            quality=quality(source["traffic"]["by_standing"]),
            standings=sorted(source["traffic"]["by_standing"].items(), key=lambda pair: -pair[1]),
            meanings=MEANINGS,
            unusable=UNUSABLE,
            came=_of(came, source["name"]),
            asked=asked,
            periods=PERIODS,
            models=MODELS,
            events=events["items"],
            reasons=reasons(refused["items"]),
            done=_done(visit),
            kept=sum(event["is_kept"] for event in refused["items"]),
            has_old=reports.has_old,
        )

    async def replay(self, visit: Visit) -> Response:
        """Has ingest take the kept requests once more, under the settings of now."""
        source_id = visit.request.path_params["source"]
        asked = (await visit.api.send("POST", path("sources", source_id, "replays"), {}))["asked"]
        return visit.go(f"/sources/{source_id}", done=str(asked))


def _done(visit: Visit) -> str | None:
    """What was just done here: so many kept requests taken once more."""
    asked = visit.query.get("done", "")
    if not asked.isascii() or not asked.isdecimal() or len(asked) > _DIGITS_MAX:
        return None
    words = "1 kept request is" if asked == "1" else f"{int(asked):,} kept requests are"
    return f"{words} taken once more, within seconds."


def _asked(visit: Visit) -> dict[str, str]:
    """The period and the model of attribution; what the address has wrong counts as not said."""
    days, model = visit.query.get("days", ""), visit.query.get("model", "")
    return {"days": days if days in PERIODS else "90", "model": model if model in MODELS else "first"}


async def _came(reports: Reader, when: When, asked: Mapping[str, str], by: str) -> Any:
    """What came of each source or campaign; None for who may not read reports."""
    since = when.now - timedelta(days=int(asked["days"]))
    found = await reports.ask("attribution", asked["days"], by=by, model=asked["model"], from_=since, to=when.now)
    return None if found is None else sorted(found["items"], key=_weight, reverse=True)


def _weight(row: Mapping[str, Any]) -> tuple[float, float, float]:
    """Money first: amounts of several currencies are only put in order, never shown added up."""
    return sum(row["revenue"].values()), sum(row["pipeline"].values()), row["qualified"]


def _of(rows: Any, name: str) -> Any:
    return None if rows is None else next((row for row in rows if row["key"] == name), None) or _NOTHING


_NOTHING: Final = {"qualified": 0, "opportunities": 0, "pipeline": {}, "customers": 0, "revenue": {}}
