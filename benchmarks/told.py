"""From a webhook in to a webhook out: posts that qualify their lead, and a receiver that is told so.

Measured from the time a post was due to the time its `accord.lead.qualified` was read by the receiver: more than the
way from qualified to received, which is wanted to be below 100 ms at 100 a second.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from aiohttp import web
from pydantic_core import from_json

from benchmarks.house import House, call
from benchmarks.latency import Latency, measure_latency
from benchmarks.load import Plan
from benchmarks.scale import Scale
from shared.events.lifecycle import LeadQualified

SEED = 1


class Receiver:
    """Notes when it was first told of each email's lead; a `Subscriber` whose following is done by its server."""

    def __init__(self) -> None:
        self.seen_at: dict[str, float] = {}

    async def join(self) -> None:
        """It has been subscribed since before the line began."""

    async def follow(self) -> None:
        await asyncio.Event().wait()

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.seen_at.setdefault(_email(body), time.monotonic())
        return web.Response(status=204)


async def measure_told(house: House, scale: Scale) -> Latency:
    """One stretch of `told_per_second` posts on a line at rest, each of which qualifies its lead."""
    async with _receiving(house) as receiver:
        connection = await asyncpg.connect(house.database_url)
        try:
            return await measure_latency(house, connection, receiver, _plan(house, scale))
        finally:
            await connection.close()


def _plan(house: House, scale: Scale) -> Plan:
    posts = round((scale.seconds + scale.warm_up_seconds) * scale.told_per_second)
    return Plan(
        kind="singles",
        target=house.target,
        run="told",
        leads=posts,
        seed=SEED,
        per_second=scale.told_per_second,
        seconds=scale.seconds,
        warm_up_seconds=scale.warm_up_seconds,
        qualify_every=1,
    )


@asynccontextmanager
async def _receiving(house: House) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/", receiver.receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        body: dict[str, Any] = {"name": "bench", "url": url, "types": [LeadQualified.TYPE]}
        await asyncio.to_thread(call, house.admin, "POST", "/v1/subscriptions", body)
        yield receiver
    finally:
        await runner.cleanup()


def _email(body: bytes) -> str:
    email: str = from_json(body)["data"]["lead"]["email"]
    return email
