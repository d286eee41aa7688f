"""Leads: all that anybody looks for, found by what they are asked for in the address."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse

from services.api.metrics import Metrics
from services.api.pages import lead_csv
from services.api.pages.calls import Api, Refused, path
from services.api.pages.site import Site
from services.api.pages.sparkline import sparkline
from services.api.pages.visit import Visit

FILTERS: Final = ("q", "stage", "grade", "owner", "source", "min_engagement")
# What the api sorts by, and in which direction.
SORTS: Final[Mapping[str, str]] = {
    "engagement": "descending",
    "fit": "descending",
    "updated": "descending",
    "deadline": "ascending",
}
TREND_DAYS: Final = 30
PAGE: Final = 50
EXPORTED_PAGE: Final = 500
EXPORTED_MAX: Final = 50_000
_INVALID: Final = 422
_NOTHING: Final[Mapping[str, Any]] = {"items": [], "next": None}


class Leads:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def register(self, site: Site) -> None:
        site.add("/leads", self.show, name="leads")
        site.add("/leads.csv", self.export, name="leads export")

    async def show(self, visit: Visit) -> Response:
        asked, sort = _asked(visit)
        query = {**asked, "sort": sort, "cursor": visit.query.get("cursor"), "limit": PAGE, "trend_days": TREND_DAYS}
        (found, faults), owners, sources = await asyncio.gather(
            _found(visit.api, query),
            visit.api.ask(path("owners"), limit=EXPORTED_PAGE),
            visit.api.ask(path("sources"), limit=EXPORTED_PAGE),
        )
        top = max((max(lead["trend"]) for lead in found["items"] if lead["trend"]), default=0.0)

        def address(to: str = "/leads", **changes: str | None) -> str:
            wanted = {**asked, "sort": sort, **changes}
            return f"{to}?{urlencode({name: value for name, value in wanted.items() if value})}"

        return visit.render(
            "leads.html",
            _INVALID if faults else 200,
            leads=found["items"],
            following=found["next"],
            is_first=not query["cursor"],
            asked=asked,
            sort=sort,
            sorts=SORTS,
            owners=_names(owners, "owner", asked.get("owner")),
            sources=_names(sources, "name", None),
            faults=faults,
            address=address,
            line=lambda lead: sparkline(lead["trend"], top, f"Engagement over {TREND_DAYS} days"),
            exported_max=EXPORTED_MAX,
        )

    async def export(self, visit: Visit) -> Response:
        """All that match, page by page, so that no list is ever held whole."""
        asked, sort = _asked(visit)
        query = {**asked, "sort": sort, "limit": EXPORTED_PAGE}
        # What is wrong with the address is said before the file begins.
        first = await visit.api.get(path("leads"), **query)
        name = f"leads-{visit.when.now:%Y-%m-%d}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(self._lines(visit.api, query, first), headers=headers, media_type="text/csv")

    async def _lines(self, api: Api, query: Mapping[str, Any], page: Mapping[str, Any]) -> AsyncIterator[str]:
        yield lead_csv.BYTE_ORDER_MARK + lead_csv.header()
        exported = len(page["items"])
        yield lead_csv.rows(page["items"])
        while page["next"] is not None and exported < EXPORTED_MAX:
            page = await api.get(path("leads"), **query, cursor=page["next"])
            exported += len(page["items"])
            yield lead_csv.rows(page["items"])
        if page["next"] is not None:
            self._metrics.reach("leads_exported")
            yield f"There are more than these {EXPORTED_MAX} leads: narrow the filter to export the others.\r\n"


def _asked(visit: Visit) -> tuple[dict[str, str], str]:
    """What the list is narrowed to, and what it is sorted by."""
    asked = {name: visit.query[name].strip() for name in FILTERS if visit.query.get(name, "").strip()}
    return asked, visit.query.get("sort", "engagement")


async def _found(api: Api, query: Mapping[str, Any]) -> tuple[Mapping[str, Any], dict[str, str]]:
    """The page, or what is wrong with what was asked for, by field."""
    try:
        return await api.get(path("leads"), **query), {}
    except Refused as refused:
        if refused.status != _INVALID:
            raise
        return _NOTHING, {str(error["path"]): str(error["message"]) for error in refused.errors}


def _names(found: Mapping[str, Any] | None, field: str, chosen: str | None) -> list[str]:
    """What may be chosen; nothing where the reader may not know."""
    names = [str(item[field]) for item in found["items"]] if found else []
    return names if chosen is None or chosen in names else [*names, chosen]
