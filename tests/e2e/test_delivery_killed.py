"""kill -9 between sending and recording: that delivery is made again, with the same webhook-id, and nothing else is."""

import asyncio
from collections import Counter
from pathlib import Path

import aiohttp
from aiohttp import web
from builders import eventually
from patience import PATIENCE, within
from running_accord import Caller, start_accord
from standardwebhooks import Webhook

from services.demo.settings import ACCORD

SECRET = "whsec_" + "QUJD" * 8
# A receiver that is merely slow would get a webhook again too.
QUICK = {"ACCORD_DELIVERY_TIMEOUT_SECONDS": f"{2 * PATIENCE}", "ACCORD_DELIVERY_LEASE_MARGIN_SECONDS": "2"}


class Holding:
    """Answers at once but for one lead, whose first webhook it takes and does not answer."""

    def __init__(self, held: str) -> None:
        self.got: Counter[tuple[str, str]] = Counter()
        self.held = held
        self.is_held = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        event = Webhook(SECRET).verify(await request.read(), dict(request.headers))
        email = event["data"]["lead"]["email"]
        self.got[email, request.headers["webhook-id"]] += 1
        if email == self.held and not self.is_held.is_set():
            self.is_held.set()
            await asyncio.Event().wait()
        return web.Response(status=204)


async def test_a_killed_process_repeats_what_it_had_not_recorded_and_nothing_else(
    open_folder: Path, session: aiohttp.ClientSession
) -> None:
    receiver = Holding("held@acme.example")
    app = web.Application()
    app.router.add_post("/", receiver.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    accord = await start_accord(open_folder, ACCORD, **QUICK)
    try:
        caller = Caller(session, accord.url)
        subscription = {"name": "x", "types": ["accord.lead.qualified"], "secret": SECRET}
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        assert (await caller.post("/v1/subscriptions", {**subscription, "url": url})).status == 201

        async def qualify(*names: str) -> None:
            for name in names:
                lead = {"email": f"{name}@acme.example"}
                event = {"type": "demo.requested", "lead": lead, "profile": {"title": "CTO", "employees": 500}}
                assert (await caller.post("/v1/events", event)).status == 202

        def told(*names: str) -> bool:
            return {email.partition("@")[0] for email, _ in receiver.got} >= set(names)

        await qualify("before", "earlier")
        await eventually(lambda: told("before", "earlier"), within=30)
        await eventually(lambda: _are_recorded(caller, 2), within=30)
        await qualify("held")
        async with within(30):
            await receiver.is_held.wait()
        accord.process.kill()
        accord = await start_accord(open_folder, ACCORD, **QUICK)
        caller = Caller(session, accord.url)
        await qualify("after")
        await eventually(lambda: told("after") and max(receiver.got.values()) == 2, within=60)
        await eventually(lambda: _are_recorded(caller, 4), within=30)
    finally:
        assert accord.process.stop() == 0
        await runner.cleanup()
    assert {email: count for (email, _), count in receiver.got.items()} == {
        "before@acme.example": 1,
        "earlier@acme.example": 1,
        "held@acme.example": 2,
        "after@acme.example": 1,
    }


async def _are_recorded(caller: Caller, count: int) -> bool:
    """Whether so many deliveries are known as made."""
    (subscription,) = (await caller.get("/v1/subscriptions")).json["items"]
    answer = await caller.get(f"/v1/subscriptions/{subscription['id']}/deliveries", state="delivered")
    return len(answer.json["items"]) == count
