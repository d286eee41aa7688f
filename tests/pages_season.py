"""People, deeds and sales' answers, so that every page has something to show."""

from typing import Any

from builders import eventually
from running_accord import Caller

from services.simulate import season
from shared.clock import SystemClock

PEOPLE = 60
_ACTIONS: tuple[tuple[dict[str, Any], ...], ...] = (
    (),
    ({"action": "accepted"},),
    ({"action": "accepted"}, {"action": "contacted", "channel": "call"}),
    ({"action": "rejected", "reason": "not_ready"},),
    (
        {"action": "accepted"},
        {"action": "contacted", "channel": "email"},
        {"action": "qualified"},
        {"action": "opportunity.opened", "amount": 12_000, "currency": "EUR"},
        {"action": "won", "amount": 11_500, "currency": "EUR"},
    ),
)


async def play(caller: Caller) -> list[str]:
    """Posts a season at once, and lets sales answer some of it. Returns the ids of qualified leads, best first."""
    for name in ("Website", "Trade show"):
        made = await caller.post(
            "/v1/sources", {"name": f"{name} of the pages", "kind": "generic", "team": "marketing"}
        )
        assert made.status == 201, made
    for post in season(seed=3, started_at=SystemClock().now(), people=PEOPLE, seconds=10).posts:
        body: Any = {"events": post.events} if post.form == "plain" else post.events[0]
        media_type = "application/json" if post.form == "plain" else "application/cloudevents+json"
        assert (await caller.post("/v1/events", body, Content_Type=media_type)).status in (202, 422)
    qualified: list[str] = []

    async def are_qualified() -> bool:
        answer = await caller.get("/v1/leads", stage="mql", limit="50")
        qualified[:] = [lead["id"] for lead in answer.json["items"]]
        return len(qualified) >= 2 * len(_ACTIONS)

    await eventually(are_qualified, within=60)
    for lead, actions in zip(qualified, 2 * _ACTIONS, strict=False):
        for action in actions:
            answer = await caller.post(f"/v1/leads/{lead}/actions", action, Prefer="wait=10")
            assert answer.status == 200, answer
    return qualified
