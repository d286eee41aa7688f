"""While the season goes on both sides agree on something else: proposed, compared, signed, and in effect."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final

from services.demo.board import Board, who_of
from services.demo.client import AccordClient
from shared.clock import Clock
from shared.errors import AccordError

# So many people have come by then that somebody has completed a survey.
AFTER_SECONDS: Final = 5.0
# From the version's effect until the lead that is watched is scored anew; the season is long over by then.
RESCORED_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.2
SHORTLY_BEFORE: Final = timedelta(milliseconds=400)
LEADS_LOOKED_AT: Final = 100

RULE: Final = "survey"
AGREED: Final = "points: 15, at_most: {points: 30, per: 90d}"
WANTED: Final = "points: 20, at_most: {points: 40, per: 90d}"


class AccordChange:
    """Both sides, each with a key of its own, and somebody who watches one lead."""

    def __init__(
        self, *, marketing: AccordClient, sales: AccordClient, onlooker: AccordClient, board: Board, clock: Clock
    ) -> None:
        self._marketing = marketing
        self._sales = sales
        self._onlooker = onlooker
        self._board = board
        self._clock = clock

    async def play(self) -> None:
        """Ends once a lead is shown with its score before and after. Raises AccordError if it never changes."""
        await asyncio.sleep(AFTER_SECONDS)
        number = await self._propose()
        effective_at = await self._sign(number)
        lead_id = await self._surveyed(effective_at)
        await asyncio.sleep(max(0.0, (effective_at - SHORTLY_BEFORE - self._clock.now()).total_seconds()))
        before = await self._lead(lead_id)
        after = await self._rescored(lead_id, number)
        self._board.tell_change(
            f"rescored: {who_of(after)}; engagement {before['engagement']:.1f} under version {before['accord']} → "
            f"{after['engagement']:.1f} under version {after['accord']}, for the same deeds"
        )

    async def _propose(self) -> int:
        current = await self._marketing.page("/v1/accords/1")
        document = current["source_text"].replace(AGREED, WANTED)
        proposed = await self._marketing.create("accords", {"document": document})
        number: int = proposed["version"]
        difference = await self._sales.page(f"/v1/accords/{number}/difference")
        changes = "; ".join(change["words"] for change in difference["changes"])
        self._board.tell_change(f"marketing proposes version {number} of the accord: {changes}")
        return number

    async def _sign(self, number: int) -> datetime:
        signed: dict[str, Any] = {}
        for side in (self._marketing, self._sales):
            signed = await side.create(f"accords/{number}/signatures", {})
        names = " and ".join(f"{one['signed_by']} ({one['role']})" for one in signed["signatures"])
        effective_at = datetime.fromisoformat(signed["effective_at"])
        self._board.tell_change(f"{names} have signed version {number}: it takes effect at {effective_at:%H:%M:%S} UTC")
        return effective_at

    async def _surveyed(self, until: datetime) -> str:
        """A lead with points for a survey."""
        while self._clock.now() < until:
            for lead in (await self._onlooker.page("/v1/leads", limit=LEADS_LOOKED_AT))["items"]:
                explanation = await self._onlooker.page(f"/v1/leads/{lead['id']}/explanation")
                if any(grant["rule"] == RULE and grant["points"] > 0 for grant in explanation["grants"]):
                    found: str = lead["id"]
                    return found
            await asyncio.sleep(LOOK_SECONDS)
        raise AccordError("nobody has completed a survey in time: the demo can't show what a new version does to it")

    async def _rescored(self, lead_id: str, number: int) -> dict[str, Any]:
        deadline = asyncio.get_running_loop().time() + RESCORED_SECONDS
        while (lead := await self._lead(lead_id))["accord"] < number:
            if asyncio.get_running_loop().time() > deadline:
                raise AccordError(f"{who_of(lead)} was not scored under version {number} in {RESCORED_SECONDS:g} s")
            await asyncio.sleep(LOOK_SECONDS)
        return lead

    async def _lead(self, lead_id: str) -> dict[str, Any]:
        return await self._onlooker.page(f"/v1/leads/{lead_id}")
