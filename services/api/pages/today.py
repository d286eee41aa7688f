"""Today: where everything stands this morning, and what to do first."""

import asyncio

from starlette.responses import Response

from services.api.pages.calls import path
from services.api.pages.site import Site
from services.api.pages.visit import Visit


class Today:
    def register(self, site: Site) -> None:
        site.add("/", self.show, name="today")

    async def show(self, visit: Visit) -> Response:
        funnel, clocks = await asyncio.gather(
            visit.api.ask(path("funnel")),
            visit.api.ask(path("clocks"), state="open,warned", limit=10),
        )
        return visit.render("today.html", funnel=funnel, clocks=clocks)
