"""Operations: how the line is, what could not be applied, who is told what, and what the last audit found."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from services.api.pages.calls import path
from services.api.pages.condition import along_the_line, of_delivery, of_service, of_subscription
from services.api.pages.people import people_of
from services.api.pages.site import Site
from services.api.pages.visit import Visit
from shared.http.problems import Problem

LETTERS_SHOWN: Final = 50
SUBSCRIPTIONS_SHOWN: Final = 30
DELIVERIES_SHOWN: Final = 10
STATES: Final[Mapping[str, str]] = {
    "open": "open",
    "replaying": "being applied again",
    "replayed": "applied again",
    "discarded": "given up",
}
_DONE: Final[Mapping[str, str]] = {
    "replay": "It is being applied again, with the time at which it came.",
    "discard": "It was given up for good.",
    "test": "A test is on its way to the endpoint.",
}
_STEPS: Final = ("replay", "discard")


class Operations:
    def register(self, site: Site) -> None:
        site.add("/operations", self.show, name="operations")
        site.on_post("/operations/dead-letters/{letter}/{step}", self.decide, name="dead letter")
        site.on_post("/operations/subscriptions/{subscription}/test", self.test, name="subscription test")

    async def show(self, visit: Visit) -> Response:
        wanted = visit.query.get("letters", "open")
        wanted = wanted if wanted in STATES else "open"
        line, letters, replaying, subscriptions = await asyncio.gather(
            visit.api.get(path("operations")),
            visit.api.get(path("dead-letters"), state=wanted, limit=LETTERS_SHOWN),
            visit.api.get(path("dead-letters"), state="replaying", limit=1),
            _subscriptions(visit),
        )
        return visit.render(
            "operations.html",
            services=[(service, of_service(service)) for service in along_the_line(line["services"])],
            audit=line["audit"],
            letters=letters["items"],
            is_more=letters["next"] is not None,
            open_letters=sum(service["dead_letters"] for service in line["services"]),
            is_replaying=bool(replaying["items"]),
            wanted=wanted,
            states=STATES,
            people=await people_of(visit, letters["items"]),
            subscriptions=subscriptions,
            done=_DONE.get(visit.query.get("done", "")),
        )

    async def decide(self, visit: Visit) -> Response:
        """Applies a dead letter again, or gives it up."""
        letter, step = (visit.request.path_params[name] for name in ("letter", "step"))
        if step not in _STEPS:
            raise Problem(404, "No such page", "A dead letter is replayed or discarded.")
        await visit.api.send("POST", path("dead-letters", letter, step), {})
        return visit.go("/operations", done=step)

    async def test(self, visit: Visit) -> Response:
        await visit.api.send("POST", path("subscriptions", visit.request.path_params["subscription"], "test"), {})
        return visit.go("/operations", done="test")


async def _subscriptions(visit: Visit) -> Any:
    """Each with its latest deliveries; None for who may not read them."""
    found = await visit.api.ask(path("subscriptions"), limit=SUBSCRIPTIONS_SHOWN)
    if found is None:
        return None
    told = await asyncio.gather(
        *(
            visit.api.get(path("subscriptions", one["id"], "deliveries"), limit=DELIVERIES_SHOWN)
            for one in found["items"]
        )
    )
    return [
        (one, of_subscription(one), [(delivery, of_delivery(delivery)) for delivery in page["items"]])
        for one, page in zip(found["items"], told, strict=True)
    ]
